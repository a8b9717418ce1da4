#include "runtime/loading.h"

#include <inttypes.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/number.h"

/* More is a damaged card: where it leads must not be read. */
#define OPTIONS_MAX 1000u
#define OPTION_STRIDE_MAX 4096u

struct value {
  struct plm_option option; /* the host's copy of the declaration */
  char *text;               /* the canonical text of what holds */
};

struct plm_services {
  struct plm_services *next;
  struct plm_plugin_card card;
  struct plm_host host;
  struct value *values;
  const char **names; /* of the options, for hints */
  uint32_t count, threads;
};

/* Reachable for ever, as the ABI promises; leak checkers see that too. */
static struct plm_services *all_services;

static void host_log(void *context, uint32_t level, const char *text) {
  const struct plm_services *services = context;
  plm_log(level < PLM_LOG_ERROR || level > PLM_LOG_DEBUG ? PLM_LOG_DEBUG : level, "%s: %s", services->card.name, text);
}

static const char *host_option(void *context, const char *name) {
  const struct plm_services *services = context;
  for (uint32_t i = 0; i < services->count; i++)
    if (!strcmp(services->names[i], name))
      return services->values[i].text;
  return NULL;
}

static void *host_allocate(void *context, uint64_t bytes) {
  (void)context;
  return bytes > SIZE_MAX ? NULL : plm_memory_aligned((size_t)bytes);
}

static void host_release(void *context, void *memory) {
  (void)context;
  free(memory);
}

static uint32_t host_threads(void *context) {
  const struct plm_services *services = context;
  return services->threads;
}

static double host_clock(void *context) {
  struct timespec now;
  (void)context;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* The cores this process may use, not those the machine has. */
static uint32_t cores(void) {
  cpu_set_t set;
  long online;
  if (!sched_getaffinity(0, sizeof set, &set))
    return (uint32_t)CPU_COUNT(&set);
  online = sysconf(_SC_NPROCESSORS_ONLN);
  return online > 0 ? (uint32_t)online : 1;
}

int plm_name_valid(const char *name) {
  size_t length = name ? strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") : 0;
  return length > 0 && length < 64 && name[length] == '\0' && name[0] >= 'a' && name[0] <= 'z';
}

static const char *type_name(uint32_t type) {
  static const char *const names[] = {"", "text", "an integer", "a number", "a boolean (yes or no)"};
  return names[type];
}

/* text in canonical form into *out; 1 when it is not of the type, 2 when it is out of range, -1 without memory. */
static int value_canonical(char **out, const struct plm_option *option, const char *text) {
  int64_t integer;
  double real = 0.0;
  char *canonical = NULL;
  int boolean, negative = text[0] == '-';
  switch (option->type) {
  case PLM_OPTION_INTEGER:
    if (text[negative] == '+' || plm_number_integer(&integer, text + negative, NULL))
      return 1;
    integer = negative ? -integer : integer;
    real = (double)integer;
    canonical = plm_memory_format("%" PRId64, integer);
    break;
  case PLM_OPTION_REAL:
    if (plm_number_real(&real, text, NULL))
      return 1;
    canonical = plm_memory_format("%.17g", real);
    break;
  case PLM_OPTION_BOOLEAN:
    if (plm_number_boolean(&boolean, text, NULL))
      return 1;
    canonical = plm_memory_format("%d", boolean != 0);
    break;
  default:
    canonical = plm_memory_format("%s", text);
  }
  if (!canonical)
    return -1;
  if ((option->type == PLM_OPTION_INTEGER || option->type == PLM_OPTION_REAL) && option->minimum < option->maximum &&
      !(real >= option->minimum && real <= option->maximum)) {
    free(canonical);
    return 2;
  }
  *out = canonical;
  return 0;
}

static int value_set(struct value *value, const char *text, const char *what, const char *backend, int code,
                     struct plm_error *err) {
  const struct plm_option *option = &value->option;
  char *canonical = NULL;
  switch (value_canonical(&canonical, option, text)) {
  case 0:
    free(value->text);
    value->text = canonical;
    return 0;
  case 1:
    return plm_error_set(err, code, "option \"%s\" of backend \"%s\": %s \"%s\" is not %s", option->name, backend, what,
                         text, type_name(option->type));
  case 2:
    return plm_error_set(err, code, "option \"%s\" of backend \"%s\": %s \"%s\" is outside %g to %g", option->name,
                         backend, what, text, option->minimum, option->maximum);
  default:
    return plm_error_memory(err, "backend options");
  }
}

static int option_declare(struct plm_services *services, uint32_t i, const struct plm_option *declared,
                          struct plm_error *err) {
  struct value *value = &services->values[i];
  const char *backend = services->card.name;
  if (declared->struct_size < PLM_OPTION_BYTES_1_0 || declared->struct_size > services->card.option_stride)
    return plm_error_set(err, PLM_E_ABI,
                         "backend \"%s\": option %u: struct_size %" PRIu64 " (must be %u to option_stride %u)", backend,
                         i, declared->struct_size, PLM_OPTION_BYTES_1_0, services->card.option_stride);
  plm_table_copy(&value->option, sizeof value->option, declared);
  if (!plm_name_valid(value->option.name))
    return plm_error_set(err, PLM_E_ABI,
                         "backend \"%s\": option %u: name \"%s\" (must be lower case letters, digits, _)", backend, i,
                         value->option.name ? value->option.name : "NULL");
  for (uint32_t k = 0; k < i; k++)
    if (!strcmp(services->names[k], value->option.name))
      return plm_error_set(err, PLM_E_ABI, "backend \"%s\": option \"%s\" is declared twice", backend,
                           value->option.name);
  services->names[i] = value->option.name;
  if (value->option.type < PLM_OPTION_TEXT || value->option.type > PLM_OPTION_BOOLEAN)
    return plm_error_set(err, PLM_E_ABI, "backend \"%s\": option \"%s\": type %u is unknown to this host", backend,
                         value->option.name, value->option.type);
  if (!value->option.default_value || !value->option.help)
    return plm_error_set(err, PLM_E_ABI, "backend \"%s\": option \"%s\": %s is NULL", backend, value->option.name,
                         value->option.default_value ? "help" : "default_value");
  return value_set(value, value->option.default_value, "its own default", backend, PLM_E_ABI, err);
}

static int options_declare(struct plm_services *services, struct plm_error *err) {
  const struct plm_plugin_card *card = &services->card;
  int code = 0;
  if (!card->option_count)
    return 0;
  if (card->option_count > OPTIONS_MAX)
    return plm_error_set(err, PLM_E_ABI, "backend \"%s\": option_count is %u (at most %u)", card->name, card->option_count,
                         OPTIONS_MAX);
  if (!card->options || card->option_stride < PLM_OPTION_BYTES_1_0 || card->option_stride % 8 ||
      card->option_stride > OPTION_STRIDE_MAX)
    return plm_error_set(
        err, PLM_E_ABI,
        "backend \"%s\": %u options, but options is %s and option_stride is %u (must be a multiple of 8, %u to %u)",
        card->name, card->option_count, card->options ? "set" : "NULL", card->option_stride, PLM_OPTION_BYTES_1_0,
        OPTION_STRIDE_MAX);
  services->values = plm_memory_zeroed(card->option_count, sizeof *services->values);
  services->names = plm_memory_zeroed(card->option_count, sizeof *services->names);
  if (!services->values || !services->names)
    return plm_error_memory(err, "backend options");
  services->count = card->option_count;
  for (uint32_t i = 0; i < services->count && !code; i++)
    code = option_declare(
        services, i,
        (const struct plm_option *)(const void *)((const char *)card->options + (size_t)i * card->option_stride), err);
  return code;
}

static int setting_apply(struct plm_services *services, const struct plm_setting *setting, struct plm_error *err) {
  const char *near;
  for (uint32_t i = 0; i < services->count; i++)
    if (!strcmp(services->names[i], setting->name))
      return value_set(&services->values[i], setting->value, "value", services->card.name, PLM_E_USAGE, err);
  near = plm_error_nearest(setting->name, services->names, services->count);
  if (near)
    return plm_error_set(err, PLM_E_USAGE, "option \"%s\" of backend \"%s\": no such option; did you mean \"%s\"?",
                         setting->name, services->card.name, near);
  return plm_error_set(err, PLM_E_USAGE,
                       "option \"%s\" of backend \"%s\": no such option; it has %u, shown by: plmscale backends -v",
                       setting->name, services->card.name, services->count);
}

static void services_destroy(struct plm_services *services) {
  for (uint32_t i = 0; i < services->count; i++)
    free(services->values[i].text);
  free(services->values);
  free(services->names);
  free(services);
}

int plm_services_create(struct plm_services **out, const struct plm_plugin_card *card,
                        const struct plm_setting *settings, uint32_t setting_count, uint32_t threads,
                        struct plm_error *err) {
  struct plm_services *services = plm_memory_zeroed(1, sizeof *services);
  int code;
  if (!services)
    return plm_error_memory(err, "host services");
  /* Not plm_table_copy: in a card the magic number stands before struct_size. */
  memcpy(&services->card, card, card->struct_size < sizeof services->card ? card->struct_size : sizeof services->card);
  services->card.struct_size = sizeof services->card;
  services->threads = threads ? threads : cores();
  services->host = (struct plm_host){sizeof services->host, PLM_ABI_MAJOR, PLM_ABI_MINOR, services,     host_log,
                                     host_option,           host_allocate, host_release,  host_threads, host_clock};
  code = options_declare(services, err);
  for (uint32_t i = 0; i < setting_count && !code; i++)
    code = setting_apply(services, &settings[i], err);
  if (code) {
    services_destroy(services);
    return code;
  }
  services->next = all_services;
  all_services = services;
  *out = services;
  return 0;
}

const struct plm_host *plm_services_host(const struct plm_services *services) { return &services->host; }
const struct plm_plugin_card *plm_services_card(const struct plm_services *services) { return &services->card; }
