#include "check/shadow.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "model/ops.h"

static struct {
  struct plm_plugin *plugin; /* NULL: not in place */
  struct plm_backend next;
  struct plm_side side;
  struct plm_shadow_options options;
  struct plm_shadow_count count;
} shadow;

static int disagree(const struct plm_case *c, const struct plm_op *op, const char *why, struct plm_error *err) {
  struct plm_error unsaved = PLM_ERROR_INIT;
  char title[PLM_OP_TEXT], shape[PLM_OP_TEXT], note[200];
  plm_op_title(title, op);
  plm_op_shape(shape, op);
  snprintf(note, sizeof note, "a run of %.60s in the shadow of %.60s, op %" PRIu64 " of its process", shadow.options.tested,
           shadow.options.shadow, shadow.count.ops);
  int kept = !plm_case_save(c, shadow.options.case_path, note, &unsaved);
  plm_error_set(err, PLM_E_WRONG, "shadow: \"%s\" and \"%s\" disagree at op #%u %s %s (op %" PRIu64 " of this process): %.300s; %s%.300s%s%.300s",
                shadow.options.tested, shadow.options.shadow, op->index, title, shape, shadow.count.ops, why,
                kept ? "replay: plmscale check " : "its inputs are lost: ", kept ? shadow.options.tested : unsaved.text,
                kept ? " --replay " : "", kept ? shadow.options.case_path : "");
  err->op_kind = op->kind;
  return PLM_E_WRONG;
}

/* The op on the tested backend, and on the shadow from what the buffers held before. */
static int op_run(struct plm_queue *queue, const struct plm_op *op, struct plm_error *err) {
  struct plm_case *c = NULL;
  struct plm_result got = {0};
  struct plm_judgement judgement;
  int code = plm_case_capture(&c, op, &shadow.next, queue, err);
  if (code)
    return code;
  if ((code = shadow.next.op_run(queue, op, err)) || (code = plm_result_collect(&got, c, op, &shadow.next, queue, err)) ||
      (code = plm_case_confirm(&judgement, c, &got, &shadow.side, err)))
    goto out;
  shadow.count.ops++;
  shadow.count.worst = fmax(shadow.count.worst, judgement.worst);
  if (judgement.wrong)
    code = disagree(c, op, judgement.text, err);
out:
  plm_result_fini(&got);
  plm_case_destroy(c);
  return code;
}

static int program_run(struct plm_queue *queue, const struct plm_op *ops, uint32_t count, uint32_t *failed,
                       struct plm_error *err) {
  for (uint32_t i = 0; i < count; i++) {
    int code = op_run(queue, &ops[i], err);
    if (code) {
      *failed = i;
      return code;
    }
  }
  return PLM_OK;
}

int plm_shadow_install(struct plm_plugin *plugin, const struct plm_side *side, const struct plm_shadow_options *options,
                       struct plm_error *err) {
  if (shadow.plugin)
    return plm_error_set(err, PLM_E_USAGE, "shadow: backend \"%s\" has one already, once in a process is all",
                         shadow.plugin->card->name);
  shadow.plugin = plugin;
  shadow.next = plugin->backend;
  shadow.side = *side;
  shadow.options = *options;
  shadow.count = (struct plm_shadow_count){0};
  plugin->backend.op_run = op_run;
  plugin->backend.program_run = program_run;
  return 0;
}

struct plm_shadow_count plm_shadow_counted(void) { return shadow.count; }

void plm_shadow_remove(struct plm_plugin *plugin) {
  if (!plugin || shadow.plugin != plugin)
    return;
  plugin->backend = shadow.next;
  memset(&shadow, 0, sizeof shadow);
}
