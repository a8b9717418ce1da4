#include "train/prepare.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "data/corpus.h"
#include "model/program.h"

/* The entry for backend and key: an old one, or a new one with neither set. */
static struct plm_backend_option *place_for(struct plm_study *study, const char *backend, const char *key) {
  for (size_t i = 0; i < study->backend_option_count; i++)
    if (!strcmp(study->backend_options[i].backend, backend) && !strcmp(study->backend_options[i].key, key))
      return &study->backend_options[i];
  size_t count = study->backend_option_count;
  struct plm_backend_option *grown = realloc(study->backend_options, (count + 1) * sizeof *grown);
  if (!grown)
    return NULL;
  study->backend_options = grown;
  grown[count] = (struct plm_backend_option){0};
  return &grown[count];
}

int plm_prepare_setting(struct plm_study *study, const char *text, struct plm_error *err) {
  const char *equals = strchr(text, '='), *dot = strchr(text, '.');
  if (!equals || !dot || dot > equals || dot == text || dot + 1 == equals)
    return plm_error_set(err, PLM_E_USAGE, "--set \"%.100s\": NAME.KEY=VALUE is right, for example cpu.threads=2",
                         text);
  struct plm_backend_option option = {.backend = strndup(text, (size_t)(dot - text)),
                                      .key = strndup(dot + 1, (size_t)(equals - dot - 1)),
                                      .value = strdup(equals + 1)};
  struct plm_backend_option *place = NULL;
  if (option.backend && option.key && option.value)
    place = place_for(study, option.backend, option.key);
  if (!place) {
    free(option.backend);
    free(option.key);
    free(option.value);
    return plm_error_memory(err, "reading --set");
  }
  if (!place->backend)
    study->backend_option_count++;
  free(place->backend);
  free(place->key);
  free(place->value);
  *place = option;
  return 0;
}

int plm_prepare_study(struct plm_prepared *out, struct plm_study *study, struct plm_error *err) {
  struct plm_corpus *corpus;
  int code = plm_corpus_open(&corpus, study->corpus, err);
  if (code)
    return code;
  struct plm_prepared prepared = {.mean_length = 0};
  memcpy(prepared.corpus_digest, corpus->digest, sizeof prepared.corpus_digest);
  int64_t tokens = plm_corpus_epoch_tokens(corpus, PLM_SPLIT_TRAIN, study->config.data_length_max);
  uint64_t sequences = corpus->splits[PLM_SPLIT_TRAIN].sequences;
  prepared.mean_length = sequences ? (double)tokens / (double)sequences : 0;
  plm_corpus_close(corpus);
  code = plm_study_expand(study, prepared.corpus_digest, tokens, err);
  if (!code)
    *out = prepared;
  return code;
}

double plm_prepare_flops(const struct plm_study *study, const struct plm_cell *cell, double mean_length) {
  const struct plm_config *config = &study->config;
  double batch = (double)config->train_batch_tokens;
  struct plm_extents extents = {.tokens = (uint32_t)batch,
                                .masked = (uint32_t)(batch * config->data_mask_rate),
                                .length_squares = batch * mean_length};
  return (double)cell->tokens / batch * plm_shape_flops(cell->shape, &extents);
}
