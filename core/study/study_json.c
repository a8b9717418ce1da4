#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "study/option_table.h"
#include "study/study.h"

#define STUDY_SCHEMA "plmscale.study/1"
#define CELL_SCHEMA "plmscale.cell/1"

/* A learning rate is one value however it is written, and of a warm-up in steps only the steps count. */
static json_t *value_json(const struct plm_config *config, int index, const struct plm_cell *cell) {
  int by_rule = strcmp(config->train_lr, "rule") == 0, swept = strcmp(config->train_lr, "sweep") == 0;
  if (index == PLM_AT_train_lr && cell && !by_rule && (!swept || cell->sweep))
    return json_real(cell->lr);
  if (index == PLM_AT_train_warmup_steps && cell)
    return json_integer(cell->warmup_steps);
  return plm_option_json(config, index);
}

/*
 * Whether an option belongs to a cell's identity: one of two ways to give the warm-up does, and options that came after the first
 * release do not where they change nothing, so that results keep the names that they have.
 */
static int identifies(const struct plm_config *config, int index) {
  int in_steps = config->train_warmup_steps > 0 || config->train_schedule == PLM_SCHEDULE_WSD;
  switch (index) {
  case PLM_AT_train_warmup_steps:
    return in_steps;
  case PLM_AT_train_warmup:
    return !in_steps;
  case PLM_AT_train_sweep_factors:
  case PLM_AT_train_sweep_tokens:
  case PLM_AT_train_sweep_seed:
    return 0; /* of a point under lr = sweep they are in "sweep", resolved */
  case PLM_AT_model_parametrization:
  case PLM_AT_model_base_width:
    return config->model_parametrization != PLM_PARAMETRIZATION_STANDARD;
  default:
    return 1;
  }
}

/* The options of one section; cell NULL: all, as the file has them. */
static json_t *section_json(const struct plm_config *config, const char *section, const struct plm_cell *cell) {
  json_t *object = json_object();
  for (int i = 0; i < PLM_OPTION_COUNT; i++)
    if (strcmp(plm_option_table[i].section, section) == 0 && (!cell || identifies(config, i)) &&
        json_object_set_new(object, plm_option_table[i].key, value_json(config, i, cell))) {
      json_decref(object);
      return NULL;
    }
  return object;
}

/* What a point's rate hangs on under lr = sweep: with it, and without the outcome, the point is what it is. */
static json_t *sweep_json(const struct plm_config *config, const struct plm_cell *cell) {
  double *factors = NULL;
  size_t count = 0;
  if (plm_grid_parse(&factors, &count, config->train_sweep_factors, NULL))
    return NULL;
  json_t *array = json_array();
  for (size_t i = 0; i < count; i++)
    json_array_append_new(array, json_real(factors[i]));
  free(factors);
  return json_pack("{s:o, s:I, s:I}", "factors", array, "tokens", (json_int_t)cell->sweep_tokens, "seed",
                   (json_int_t)config->train_sweep_seed);
}

/* Adds to a cell under lr = sweep what it is there. */
static json_t *mark_sweep(json_t *json, const struct plm_config *config, const struct plm_cell *cell) {
  int failed = 0;
  if (cell->sweep)
    failed = json_object_set_new(json, "role", json_string("sweep"));
  else if (cell->sweep_tokens > 0)
    failed = json_object_set_new(json, "sweep", sweep_json(config, cell));
  if (!failed)
    return json;
  json_decref(json);
  return NULL;
}

json_t *plm_study_cell_json(const struct plm_study *study, const struct plm_cell *cell, const char *corpus_digest) {
  const struct plm_config *config = &study->config;
  json_t *json =
      json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:{s:I, s:I, s:I}, s:I, s:I, s:I}", "schema", CELL_SCHEMA, "corpus",
                   corpus_digest, "model", section_json(config, "model", cell), "data",
                   section_json(config, "data", cell), "train", section_json(config, "train", cell), "evaluate",
                   section_json(config, "evaluate", cell), "shape", "layers", (json_int_t)cell->shape.layers, "width",
                   (json_int_t)cell->shape.width, "heads", (json_int_t)cell->shape.heads, "n_layers_only",
                   (json_int_t)cell->n_layers_only, "tokens", (json_int_t)cell->tokens, "seed", (json_int_t)cell->seed);
  return json ? mark_sweep(json, config, cell) : NULL;
}

static json_t *cell_row(const struct plm_cell *cell) {
  return json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:I, s:I, s:f, s:o, s:I, s:I, s:I, s:s, s:s?}", "id", cell->id, "layers",
                   (json_int_t)cell->shape.layers, "width", (json_int_t)cell->shape.width, "heads",
                   (json_int_t)cell->shape.heads, "n_layers_only", (json_int_t)cell->n_layers_only, "n_with_head",
                   (json_int_t)cell->n_with_head, "n_total", (json_int_t)cell->n_total, "budget", cell->budget,
                   "tokens", (json_int_t)cell->tokens, "steps", (json_int_t)cell->steps, "flops_6nd", cell->flops_6nd,
                   "lr", isnan(cell->lr) ? json_null() : json_real(cell->lr), "seed", (json_int_t)cell->seed, "warmup_steps", (json_int_t)cell->warmup_steps,
                   "trunk_steps", (json_int_t)cell->trunk_steps, "role", cell->sweep ? "sweep" : "point", "refused", cell->refused);
}

static json_t *cells_json(const struct plm_study *study) {
  json_t *cells = json_array();
  for (size_t i = 0; i < study->cell_count; i++)
    if (json_array_append_new(cells, cell_row(&study->cells[i]))) {
      json_decref(cells);
      return NULL;
    }
  return cells;
}

static json_t *options_json(const struct plm_config *config) {
  const char *sections[PLM_OPTION_COUNT];
  size_t count = plm_option_sections(sections);
  json_t *object = json_object();
  for (size_t i = 0; i < count; i++)
    if (json_object_set_new(object, sections[i], section_json(config, sections[i], NULL))) {
      json_decref(object);
      return NULL;
    }
  return object;
}

/* {"cpu": {"key": "value"}}. */
static json_t *backends_json(const struct plm_study *study) {
  json_t *object = json_object();
  for (size_t i = 0; i < study->backend_option_count; i++) {
    const struct plm_backend_option *option = &study->backend_options[i];
    json_t *backend = json_object_get(object, option->backend);
    int failed = 0;
    if (!backend) {
      backend = json_object();
      failed = json_object_set_new(object, option->backend, backend);
    }
    if (failed || json_object_set_new(backend, option->key, json_string(option->value))) {
      json_decref(object);
      return NULL;
    }
  }
  return object;
}

json_t *plm_study_json(const struct plm_study *study, const char *corpus_digest) {
  return json_pack("{s:s, s:s, s:s, s:o, s:o, s:s, s:o}", "schema", STUDY_SCHEMA, "tool_version", PLM_VERSION,
                   "corpus_digest", corpus_digest, "options", options_json(&study->config), "backends",
                   backends_json(study), "ini", study->text, "cells", cells_json(study));
}
