#include "study/sweep_plan.h"

#include <math.h>
#include <stdlib.h>

#include "base/memory.h"

static int same_shape(const struct plm_cell *a, const struct plm_cell *b) {
  return a->shape.layers == b->shape.layers && a->shape.width == b->shape.width && a->shape.heads == b->shape.heads;
}

/* Tokens of the shortest of the first count cells that has the shape of *of and is not refused. */
static int64_t shortest(const struct plm_cell *cells, size_t count, const struct plm_cell *of) {
  int64_t least = of->tokens;
  for (size_t i = 0; i < count; i++)
    if (!cells[i].refused && same_shape(&cells[i], of) && cells[i].tokens < least)
      least = cells[i].tokens;
  return least;
}

static int64_t run_tokens(const struct plm_config *config, int64_t least) {
  double tokens = config->train_sweep_tokens <= 1 ? config->train_sweep_tokens * (double)least : config->train_sweep_tokens;
  return llround(fmax(tokens, (double)config->train_batch_tokens));
}

/* The size's run at one rate. */
static struct plm_cell run_of(const struct plm_cell *point, const struct plm_config *config, double factor) {
  struct plm_cell run = *point;
  run.sweep = 1;
  run.budget = 0;
  run.tokens = point->sweep_tokens;
  run.steps = (int64_t)ceil((double)run.tokens / (double)config->train_batch_tokens);
  run.flops_6nd = 6 * (double)run.n_layers_only * (double)run.tokens;
  run.seed = (uint64_t)config->train_sweep_seed;
  run.lr = factor * plm_study_peak_rate(config, (double)run.n_layers_only);
  return run;
}

/* 1 when an earlier cell that is not refused has the shape of this one. */
static int seen(const struct plm_cell *cells, size_t index) {
  for (size_t i = 0; i < index; i++)
    if (!cells[i].refused && same_shape(&cells[i], &cells[index]))
      return 1;
  return 0;
}

int plm_sweep_plan(struct plm_cell **cells, size_t *count, const struct plm_config *config, struct plm_error *err) {
  double *factors = NULL;
  size_t factor_count = 0, points = *count, capacity = *count;
  int code = plm_grid_parse(&factors, &factor_count, config->train_sweep_factors, err);
  for (size_t i = 0; i < points && code == 0; i++) {
    if ((*cells)[i].refused)
      continue;
    (*cells)[i].sweep_tokens = run_tokens(config, shortest(*cells, points, &(*cells)[i]));
    if (seen(*cells, i))
      continue;
    void *grown = *cells;
    if (plm_memory_grow(&grown, &capacity, *count + factor_count, sizeof **cells)) {
      code = plm_error_memory(err, "planning cells");
      break;
    }
    *cells = grown;
    for (size_t k = 0; k < factor_count; k++)
      (*cells)[(*count)++] = run_of(&(*cells)[i], config, factors[k]);
  }
  free(factors);
  return code;
}
