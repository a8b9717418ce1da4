/* Right: built for a later minor version, with a longer card and a longer table. */
#include "null_backend.h"

struct newer_backend {
  struct plm_backend known;
  void *appended[8];
};

struct newer_card {
  struct plm_plugin_card known;
  uint64_t appended[4];
};

static int start(const struct plm_host *given, struct plm_backend *out, struct plm_error *err) {
  struct newer_backend table = {null_table(), {NULL}};
  (void)err;
  host = given;
  table.known.struct_size = sizeof table;
  table.appended[0] = &table;
  return plm_backend_publish(out, &table.known);
}

const struct plm_plugin_card *PLM_PLUGIN_ENTRY(void) {
  static struct newer_card card = {NULL_CARD("newer_minor", NULL, 0, start), {1, 2, 3, 4}};
  card.known.struct_size = sizeof card;
  card.known.abi_minor = PLM_ABI_MINOR + 7;
  card.known.op_count = PLM_OP_COUNT + 5;
  card.known.build_flags = 1u << 31;
  return &card.known;
}
