#include "study/trunk.h"

#include <math.h>
#include <stdlib.h>

#include "base/memory.h"

#define COMPARE(a, b) (((a) > (b)) - ((a) < (b)))

/* Cells of one trunk become neighbours, the shortest first. */
static int compare_trunks(const void *left, const void *right) {
  const struct plm_cell *a = *(struct plm_cell *const *)left, *b = *(struct plm_cell *const *)right;
  const int orders[] = {COMPARE(a->shape.layers, b->shape.layers),
                        COMPARE(a->shape.width, b->shape.width),
                        COMPARE(a->shape.heads, b->shape.heads),
                        COMPARE(a->seed, b->seed),
                        COMPARE(a->sweep, b->sweep),
                        COMPARE(a->lr, b->lr),
                        COMPARE(a->steps, b->steps),
                        COMPARE(a, b)};
  for (size_t i = 0; i < sizeof orders / sizeof *orders; i++)
    if (orders[i])
      return orders[i];
  return 0;
}

static int same_trunk(const struct plm_cell *a, const struct plm_cell *b) {
  return a->shape.layers == b->shape.layers && a->shape.width == b->shape.width && a->shape.heads == b->shape.heads &&
         a->seed == b->seed && a->sweep == b->sweep && (a->lr == b->lr || (isnan(a->lr) && isnan(b->lr)));
}

/* The cells that are not refused, by trunk; *out is owned by the caller. */
static int sort_trunks(struct plm_cell ***out, size_t *kept, struct plm_cell *cells, size_t count, struct plm_error *err) {
  struct plm_cell **sorted = plm_memory_zeroed(count, sizeof *sorted);
  if (!sorted)
    return plm_error_memory(err, "planning cells");
  *kept = 0;
  for (size_t i = 0; i < count; i++)
    if (!cells[i].refused)
      sorted[(*kept)++] = &cells[i];
  qsort(sorted, *kept, sizeof *sorted, compare_trunks);
  *out = sorted;
  return 0;
}

int plm_trunk_warm_up(struct plm_cell *cells, size_t count, const struct plm_config *config, struct plm_error *err) {
  struct plm_cell **sorted;
  size_t kept;
  int wsd = config->train_schedule == PLM_SCHEDULE_WSD;
  int code = sort_trunks(&sorted, &kept, cells, count, err);
  if (code)
    return code;
  for (size_t i = 0, first = 0; i < kept; i++) {
    struct plm_cell *cell = sorted[i];
    first = same_trunk(sorted[first], cell) ? first : i;
    cell->warmup_steps = config->train_warmup_steps;
    if (!cell->warmup_steps)
      cell->warmup_steps = llround(config->train_warmup * (double)(wsd ? sorted[first] : cell)->steps);
    cell->trunk_steps = wsd ? cell->steps - llround(config->train_cooldown * (double)cell->steps) : 0;
  }
  free(sorted);
  return 0;
}

int plm_trunk_link(struct plm_cell *cells, size_t count, struct plm_error *err) {
  struct plm_cell **sorted;
  size_t kept;
  int code = sort_trunks(&sorted, &kept, cells, count, err);
  if (code)
    return code;
  for (size_t i = 0; i < count; i++)
    cells[i].parent = PLM_NO_CELL;
  for (size_t i = 1; i < kept; i++)
    if (same_trunk(sorted[i - 1], sorted[i]) && sorted[i - 1]->trunk_steps > 0)
      sorted[i]->parent = (size_t)(sorted[i - 1] - cells);
  free(sorted);
  return 0;
}

int64_t plm_trunk_shared(const struct plm_study *study, const struct plm_cell *cell) {
  return study->config.run_trunks && cell->parent != PLM_NO_CELL ? study->cells[cell->parent].trunk_steps : 0;
}
