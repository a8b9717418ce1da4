/* Right, unless PLM_TEST_PATCHES says otherwise: "PLACE OFFSET HEX" for each patch, PLACE being card, options, table or
 * text. */
#include "null_backend.h"

/* The room behind the options lets a host that believes a wrong count or stride read zeros. */
static struct {
  struct plm_option options[3];
  unsigned char room[1 << 20];
} declared;

/* What the card and its options point to: the text of a plugin is patched like its numbers. */
static char texts[8][32];

static const struct plm_option right[3] = {
    {sizeof(struct plm_option), texts[3], texts[4], texts[5], 0, 9, PLM_OPTION_INTEGER, 0},
    {sizeof(struct plm_option), "ratio", "0.5", "a share", 0, 1, PLM_OPTION_REAL, 0},
    {sizeof(struct plm_option), "label", texts[6], texts[7], 0, 0, PLM_OPTION_TEXT, 0},
};

static void patch(const char *place, void *target, size_t size) {
  const char *text = getenv("PLM_TEST_PATCHES");
  char where[16], hex[65];
  unsigned offset;
  int used;
  for (; text && sscanf(text, "%15s %u %64s%n", where, &offset, hex, &used) == 3; text += used)
    for (size_t i = 0; hex[2 * i] && !strcmp(where, place) && offset + i < size; i++) {
      const char pair[3] = {hex[2 * i], hex[2 * i + 1], '\0'};
      ((unsigned char *)target)[offset + i] = (unsigned char)strtoul(pair, NULL, 16);
    }
}

static int start(const struct plm_host *given, struct plm_backend *out, struct plm_error *err) {
  struct plm_backend table = null_table();
  (void)err;
  host = given;
  patch("table", &table, sizeof table);
  /* A size that its own author got wrong must not make this plugin read past its table. */
  if (table.struct_size > sizeof table) {
    *out = table;
    return PLM_OK;
  }
  return plm_backend_publish(out, &table);
}

const struct plm_plugin_card *PLM_PLUGIN_ENTRY(void) {
  static const char *const right_texts[8] = {"patched", "1.0", "MIT", "depth", "3", "how deep", "Null", "a name"};
  static struct {
    struct plm_plugin_card card;
    unsigned char room[4096];
  } made;
  const struct plm_plugin_card card = NULL_CARD(texts[0], declared.options, 3, start);
  made.card = card;
  made.card.version = texts[1];
  made.card.license = texts[2];
  memset(texts, 0, sizeof texts);
  for (int i = 0; i < 8; i++)
    strcpy(texts[i], right_texts[i]);
  memcpy(declared.options, right, sizeof right);
  patch("card", &made.card, sizeof made.card);
  patch("options", declared.options, sizeof declared.options);
  patch("text", texts, sizeof texts);
  for (int i = 0; i < 8; i++)
    texts[i][sizeof texts[i] - 1] = '\0';
  return &made.card;
}
