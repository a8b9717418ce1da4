#include "data/corpus_info.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "data/corpus_build.h"
#include "data/corpus_format.h"

static const struct {
  const char *name;
  double q;
} quantiles[] = {{"min", 0}, {"p05", 0.05}, {"p25", 0.25}, {"median", 0.5}, {"p75", 0.75}, {"p95", 0.95}, {"max", 1}};

static int compare_lengths(const void *left, const void *right) {
  uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
  return a < b ? -1 : a > b;
}

/* Quantiles of sequence lengths by nearest rank, and the mean; null for an empty split. */
static int lengths_json(json_t **out, const struct plm_corpus_split *split, struct plm_error *err) {
  if (split->sequences == 0) {
    *out = json_null();
    return 0;
  }
  uint32_t *lengths = plm_memory_zeroed((size_t)split->sequences, sizeof *lengths);
  json_t *json = json_object();
  int failed = lengths == NULL || json == NULL;
  for (uint64_t i = 0; i < split->sequences && !failed; i++)
    lengths[i] = (uint32_t)(split->offsets[i + 1] - split->offsets[i]);
  if (!failed)
    qsort(lengths, (size_t)split->sequences, sizeof *lengths, compare_lengths);
  for (size_t i = 0; i < sizeof quantiles / sizeof *quantiles && !failed; i++) {
    uint64_t rank = (uint64_t)ceil(quantiles[i].q * (double)split->sequences);
    failed = json_object_set_new(json, quantiles[i].name, json_integer(lengths[rank > 0 ? rank - 1 : 0])) != 0;
  }
  if (!failed)
    failed = json_object_set_new(json, "mean", json_real((double)split->residues / (double)split->sequences)) != 0;
  free(lengths);
  if (failed) {
    json_decref(json);
    return plm_error_memory(err, "describing a corpus");
  }
  *out = json;
  return 0;
}

/* Counted here rather than read: the numbers then belong to the checked tokens. */
static json_t *composition_json(const struct plm_corpus_split *split) {
  uint64_t counts[256] = {0};
  for (uint64_t i = 0; i < split->residues; i++)
    counts[split->tokens[i]]++;
  json_t *json = json_object();
  for (int token = PLM_TOKEN_STANDARD; token < PLM_TOKEN_RESIDUES && json != NULL; token++)
    if (json_object_set_new(json, plm_alphabet_name(token), json_integer((json_int_t)counts[token])) != 0) {
      json_decref(json);
      json = NULL;
    }
  return json;
}

static int splits_json(json_t **out, const struct plm_corpus *corpus, struct plm_error *err) {
  json_t *splits = json_object();
  int code = splits == NULL ? plm_error_memory(err, "describing a corpus") : 0;
  for (int s = 0; s < PLM_SPLIT_COUNT && code == 0; s++) {
    const struct plm_corpus_split *split = &corpus->splits[s];
    json_t *lengths = NULL;
    code = lengths_json(&lengths, split, err);
    if (code != 0)
      break;
    json_t *json =
        json_pack("{s:I, s:I, s:I, s:o, s:o}", "sequences", (json_int_t)split->sequences, "residues",
                  (json_int_t)split->residues, "tokens", (json_int_t)(split->residues + 2 * split->sequences),
                  "lengths", lengths, "composition", composition_json(split));
    if (json == NULL || json_object_set_new(splits, plm_corpus_split_names[s], json) != 0)
      code = plm_error_memory(err, "describing a corpus");
  }
  if (code != 0) {
    json_decref(splits);
    return code;
  }
  *out = splits;
  return 0;
}

static int document_json(json_t *into, hid_t file, const char *name, struct plm_error *err) {
  hid_t set = H5Lexists(file, name, H5P_DEFAULT) > 0 ? H5Dopen2(file, name, H5P_DEFAULT) : H5I_INVALID_HID;
  int internal = set >= 0 && plm_corpus_is_internal(set);
  if (set >= 0)
    H5Dclose(set);
  H5Eclear2(H5E_DEFAULT);
  if (!internal)
    return plm_error_set(err, PLM_E_DAMAGED, "\"%s\" is missing or not inside the file", name);
  char *text = NULL;
  int code = plm_h5_get_document(&text, file, name, err);
  if (code != 0)
    return code;
  json_error_t fault;
  json_t *json = json_loads(text, JSON_REJECT_DUPLICATES, &fault);
  free(text);
  if (json == NULL)
    return plm_error_set(err, PLM_E_DAMAGED, "\"%s\" is not JSON: %s", name, fault.text);
  return json_object_set_new(into, name, json) != 0 ? plm_error_memory(err, "describing a corpus") : 0;
}

static int count_json(json_t *into, hid_t group, const char *name, struct plm_error *err) {
  int64_t value = 0;
  int code = plm_h5_get_integer(&value, group, name, err);
  if (code == 0 && json_object_set_new(into, name, json_integer(value)) != 0)
    code = plm_error_memory(err, "describing a corpus");
  return code;
}

static int counts_json(json_t *into, hid_t file, struct plm_error *err) {
  hid_t group;
  int code = plm_h5_group_open(&group, file, "counts", err);
  if (code != 0)
    return code;
  json_t *counts = json_object();
#define X(name, text) \
  if (code == 0) \
    code = count_json(counts, group, #name, err);
  PLM_CORPUS_COUNTS(X)
  PLM_ALPHABET_COUNTS(X)
#undef X
  H5Gclose(group);
  if (code != 0)
    json_decref(counts);
  else if (json_object_set_new(into, "counts", counts) != 0)
    code = plm_error_memory(err, "describing a corpus");
  return code;
}

static int text_json(json_t *into, hid_t file, const char *name, struct plm_error *err) {
  char *text = NULL;
  int code = plm_h5_get_text(&text, file, name, err);
  if (code == 0 && json_object_set_new(into, name, json_string(text)) != 0)
    code = plm_error_set(err, PLM_E_DAMAGED, "attribute \"%s\" is not UTF-8", name);
  free(text);
  return code;
}

static int describe(json_t *into, const struct plm_corpus *corpus, hid_t file, struct plm_error *err) {
  static const char *const texts[] = {"tool_version", "created_utc", "vocabulary", "rules"};
  int code = 0;
  if (json_object_set_new(into, "digest", json_string(corpus->digest)) != 0)
    code = plm_error_memory(err, "describing a corpus");
  for (size_t i = 0; i < sizeof texts / sizeof *texts && code == 0; i++)
    code = text_json(into, file, texts[i], err);
  if (code == 0)
    code = document_json(into, file, "options", err);
  if (code == 0)
    code = document_json(into, file, "sources", err);
  if (code == 0)
    code = counts_json(into, file, err);
  json_t *splits = NULL;
  if (code == 0)
    code = splits_json(&splits, corpus, err);
  if (code == 0 && json_object_set_new(into, "splits", splits) != 0)
    code = plm_error_memory(err, "describing a corpus");
  return code;
}

int plm_corpus_describe(struct json_t **out, const char *path, struct plm_error *err) {
  struct plm_corpus *corpus;
  int code = plm_corpus_open(&corpus, path, err);
  if (code != 0)
    return code;
  struct plm_error inner = PLM_ERROR_INIT;
  hid_t file = H5I_INVALID_HID;
  json_t *json = json_pack("{s:s, s:i}", "schema", "plmscale.corpus/1", "format_version", PLM_CORPUS_VERSION);
  if (json == NULL)
    code = plm_error_memory(&inner, "describing a corpus");
  if (code == 0)
    code = plm_h5_open(&file, path, PLM_CORPUS_FORMAT, PLM_CORPUS_VERSION, &inner);
  if (code == 0)
    code = describe(json, corpus, file, &inner);
  if (file >= 0)
    H5Fclose(file);
  plm_corpus_close(corpus);
  if (code != 0) {
    json_decref(json);
    return plm_error_set(err, code, "corpus \"%s\": %s", path, inner.text);
  }
  *out = json;
  return 0;
}
