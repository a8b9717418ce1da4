#include "runtime/layer.h"

#include <string.h>
#include <time.h>

#include "runtime/layering.h"

#define LAYERS_MAX 4

static const struct plm_layer *const layers[LAYERS_MAX] = {&plm_layer_trace, &plm_layer_validate, &plm_layer_time,
                                                           &plm_layer_fault};

/* Whom each layer stands over; NULL: nobody. */
static const struct plm_plugin *over[LAYERS_MAX];

double plm_layer_clock(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

int plm_layer_loop(int (*run)(struct plm_queue *queue, const struct plm_op *op, struct plm_error *err),
                   struct plm_queue *queue, const struct plm_op *ops, uint32_t count, uint32_t *failed,
                   struct plm_error *err) {
  for (uint32_t i = 0; i < count; i++) {
    int code = run(queue, &ops[i], err);
    if (code) {
      *failed = i;
      return code;
    }
  }
  return PLM_OK;
}

/* The layer that text asks for, configured by its argument. */
static int configure(int *out, const char *text, struct plm_error *err) {
  const char *names[LAYERS_MAX];
  size_t length = strcspn(text, ":");
  for (int i = 0; i < LAYERS_MAX; i++) {
    names[i] = layers[i]->name;
    if (strlen(names[i]) != length || strncmp(names[i], text, length))
      continue;
    *out = i;
    if (over[i])
      return plm_error_set(err, PLM_E_USAGE, "layer \"%s\": stands over backend \"%s\" already, once in a process is all",
                           names[i], over[i]->card->name);
    return layers[i]->configure(text[length] ? text + length + 1 : NULL, err);
  }
  char name[64];
  snprintf(name, sizeof name, "%.*s", (int)length, text);
  const char *near = plm_error_nearest(name, names, LAYERS_MAX);
  return plm_error_set(err, PLM_E_USAGE, "layer \"%s\": unknown%s%s%s; there are trace, validate, time, fault", name,
                       near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
}

/* The layers that the texts ask for, each once. */
static int read_all(int out[LAYERS_MAX], const char *const *texts, size_t count, struct plm_error *err) {
  unsigned seen = 0;
  for (size_t i = 0; i < count; i++) {
    int which = 0, code = configure(&which, texts[i], err);
    if (code)
      return code;
    if (seen >> which & 1)
      return plm_error_set(err, PLM_E_USAGE, "layer \"%s\": given twice%s", layers[which]->name,
                           layers[which] == &plm_layer_fault ? "; several faults stand in one, with commas" : "");
    seen |= 1u << which;
    out[i] = which;
  }
  return 0;
}

int plm_layers_check(const char *const *texts, size_t count, struct plm_error *err) {
  int which[LAYERS_MAX];
  return read_all(which, texts, count, err);
}

int plm_layers_install(struct plm_plugin *plugin, const char *const *texts, size_t count, struct plm_error *err) {
  int which[LAYERS_MAX];
  int code = read_all(which, texts, count, err);
  for (size_t i = count; i-- > 0 && !code;) {
    code = layers[which[i]]->install(&plugin->backend, err);
    if (!code)
      over[which[i]] = plugin;
  }
  if (code)
    plm_layers_remove(plugin);
  return code;
}

int plm_layers_finish(const struct plm_plugin *plugin, FILE *out, struct plm_error *err) {
  int code = 0;
  for (int i = 0; i < LAYERS_MAX; i++) {
    if (over[i] != plugin)
      continue;
    if (layers[i]->report)
      layers[i]->report(out);
    if (layers[i]->verdict && !code)
      code = layers[i]->verdict(err);
  }
  return code;
}

void plm_layers_remove(struct plm_plugin *plugin) {
  for (int i = 0; i < LAYERS_MAX; i++)
    if (over[i] == plugin) {
      over[i] = NULL;
      layers[i]->remove();
    }
  plugin->backend = plugin->bare;
}
