/* The good one: nothing is wrong. It has one option of each type, and shows their values as its devices. */
#include "null_backend.h"

static const struct plm_option options[] = {
    {sizeof(struct plm_option), "label", "Null device", "what the devices are called", 0, 0, PLM_OPTION_TEXT, 0},
    {sizeof(struct plm_option), "devices", "1", "how many devices there are", 0, 4, PLM_OPTION_INTEGER, 0},
    {sizeof(struct plm_option), "share", "0.5", "share of nothing that is used", 0, 1, PLM_OPTION_REAL, 0},
    {sizeof(struct plm_option), "loud", "no", "print a line on standard output at the start", 0, 0, PLM_OPTION_BOOLEAN,
     0},
};

static int start(const struct plm_host *given, struct plm_backend *out, struct plm_error *err) {
  int code = null_start(given, out, err);
  if (!strcmp(option_or("loud", ""), "1")) {
    puts("null backend: here");
    fflush(stdout);
    host->log(host->context, PLM_LOG_DEBUG, "started");
  }
  return code;
}

const struct plm_plugin_card *PLM_PLUGIN_ENTRY(void) {
  static const struct plm_plugin_card card = NULL_CARD("null", options, sizeof options / sizeof *options, start);
  return &card;
}
