#include "cli/plan.h"

#include <math.h>
#include <stdlib.h>

#include "base/memory.h"
#include "model/program.h"
#include "runtime/session.h"
#include "study/trunk.h"
#include "train/schedule.h"
#include "train/sweep.h"

/* ------------------------------------------------------------------ counts */

void plan_corpus(struct plm_corpus_means *out, const struct plm_corpus *corpus, int64_t length_max) {
  const struct plm_corpus_split *split = &corpus->splits[PLM_SPLIT_TRAIN];
  double tokens = 0, squares = 0;
  for (uint64_t i = 0; i < split->sequences; i++) {
    double length = (double)(split->offsets[i + 1] - split->offsets[i]) + 2;
    length = fmin(length, (double)length_max);
    tokens += length;
    squares += length * length;
  }
  out->epoch_tokens = tokens;
  out->sequences = (double)split->sequences;
  out->squares_per_token = tokens > 0 ? squares / tokens : 0;
  out->residues_per_token = tokens > 0 ? (tokens - 2 * out->sequences) / tokens : 0;
}

/* Those of a batch of a million, divided. */
double plan_flops_per_token(const struct plan *plan, struct plm_shape shape) {
  const double million = 1e6;
  const struct plm_extents extents = {
      .tokens = (uint32_t)million,
      .masked = (uint32_t)lround(million * plan->means.residues_per_token * plan->study->config.data_mask_rate),
      .length_squares = million * plan->means.squares_per_token};
  return plm_shape_flops(shape, &extents) / million;
}

/* Buffers of a cell but the workspace, with the micro-batch that a session chooses on a device with this cache. */
static uint64_t buffer_bytes(const struct plan *plan, struct plm_shape shape, uint64_t cache_bytes) {
  const struct plm_config *config = &plan->study->config;
  const struct plm_device_info info = {.struct_size = sizeof info, .cache_bytes = cache_bytes};
  uint32_t length_max = (uint32_t)config->data_length_max, tokens = (uint32_t)config->run_micro_tokens;
  if (!tokens)
    tokens = plm_session_micro(&info, shape, length_max, (uint32_t)config->train_batch_tokens);
  if (tokens < length_max)
    tokens = length_max;
  const struct plm_capacity capacity = plm_session_capacity(tokens, length_max);
  return plm_shape_bytes(NULL, shape, &capacity);
}

/* The same and the workspace, which only the backend knows: that of the measured shape next above, or of the largest.
 */
static uint64_t cell_bytes(const struct plan *plan, struct plm_shape shape, const struct plm_plan_device *device) {
  uint64_t bytes = buffer_bytes(plan, shape, device->cache_bytes), without;
  double flops = plan_flops_per_token(plan, shape);
  uint32_t point = 0;
  if (!device->count)
    return bytes;
  while (point + 1 < device->count && device->points[point].shape.flops_per_token < flops)
    point++;
  without = buffer_bytes(plan, device->points[point].shape.shape, device->cache_bytes);
  return bytes + (device->points[point].memory_bytes > without ? device->points[point].memory_bytes - without : 0);
}

static int compare_shapes(const void *left, const void *right) {
  const struct plm_plan_shape *a = left, *b = right;
  return (a->flops_per_token > b->flops_per_token) - (a->flops_per_token < b->flops_per_token);
}

/* The shapes of all cells that run, ascending, each cost once; *out is owned by the caller. */
int plan_shapes(struct plm_plan_shape **out, size_t *count, const struct plan *plan, struct plm_error *err) {
  const struct plm_study *study = plan->study;
  struct plm_plan_shape *shapes = plm_memory_zeroed(study->cell_count, sizeof *shapes);
  size_t found = 0, kept = 0;
  if (!shapes)
    return plm_error_memory(err, "planning cells");
  for (size_t i = 0; i < study->cell_count; i++)
    if (!study->cells[i].refused)
      shapes[found++] = (struct plm_plan_shape){study->cells[i].shape, plan_flops_per_token(plan, study->cells[i].shape)};
  qsort(shapes, found, sizeof *shapes, compare_shapes);
  for (size_t i = 0; i < found; i++)
    if (!kept || shapes[kept - 1].flops_per_token < shapes[i].flops_per_token)
      shapes[kept++] = shapes[i];
  *out = shapes;
  *count = kept;
  return 0;
}


/* --------------------------------------------------------------- forecasts */

/* Training and the evaluations on the way, which run forward only: a third of the work. */
static double cell_seconds(const struct plan *plan, const struct plm_cell *cell, const struct plm_plan_device *device) {
  double rate = plm_plan_tokens_per_s(device, plan_flops_per_token(plan, cell->shape));
  int64_t shared = plm_trunk_shared(plan->study, cell);
  double evaluated = plan->valid_tokens * (double)plm_schedule_evaluations(&plan->study->config, cell, shared);
  double own = (double)(cell->steps - shared) / (double)cell->steps;
  return rate > 0 ? (own * (double)cell->tokens + evaluated / 3) / rate : NAN;
}

/* When each place is free, and when each cell's trunk is grown: for longer cells of it, they can begin then. */
struct schedule {
  double *free_at, *grown_at, *done_at; /* grown_at and done_at: infinite before the cell has a place */
};

/* When the runs of a point's learning-rate sweep are done. */
static double swept_at(const struct plm_study *study, const struct schedule *schedule, const struct plm_cell *cell) {
  double at = 0;
  for (size_t i = 0; plm_sweep_awaits(cell) && i < study->cell_count; i++)
    if (plm_sweep_belongs(cell, &study->cells[i]) && !study->cells[i].refused)
      at = fmax(at, schedule->done_at[i]);
  return at;
}

/* The next cell that `run` would start at a place: the first in order that is not held up by its trunk at that time, or else the
 * first to be free of it. */
static size_t next_cell(const struct plan *plan, const struct schedule *schedule, double time, double *start) {
  const struct plm_study *study = plan->study;
  size_t best = study->cell_count;
  *start = INFINITY;
  for (size_t i = 0; i < study->cell_count && *start > time; i++) {
    const struct plm_cell *cell = &study->cells[i];
    if (plan->forecasts[i].device >= 0 || cell->refused)
      continue;
    double at = plm_trunk_shared(study, cell) ? fmax(time, schedule->grown_at[cell->parent]) : time;
    at = fmax(at, swept_at(study, schedule, cell));
    if (at >= *start)
      continue;
    best = i;
    *start = at;
  }
  return best;
}

static void place_cell(struct plan *plan, struct schedule *schedule, size_t index, size_t place, double start) {
  const struct plm_cell *cell = &plan->study->cells[index];
  struct forecast *forecast = &plan->forecasts[index];
  const struct plm_plan_device *device = &plan->devices[plan->places[place]];
  int64_t shared = plm_trunk_shared(plan->study, cell);
  forecast->device = (int)plan->places[place];
  forecast->own = (double)(cell->steps - shared) / (double)cell->steps;
  forecast->memory_bytes = cell_bytes(plan, cell->shape, device);
  forecast->seconds = cell_seconds(plan, cell, device);
  double seconds = isnan(forecast->seconds) ? 0 : forecast->seconds;
  double trunk = cell->steps > shared ? (double)(cell->trunk_steps - shared) / (double)(cell->steps - shared) : 0;
  schedule->grown_at[index] = start + seconds * fmax(trunk, 0);
  schedule->free_at[place] = schedule->done_at[index] = start + seconds;
  plan->seconds = isnan(plan->seconds) || isnan(forecast->seconds) ? NAN : fmax(plan->seconds, start + seconds);
}

/* Cells to places as `run` starts them. */
int plan_forecast(struct plan *plan, struct plm_error *err) {
  const struct plm_study *study = plan->study;
  struct schedule schedule = {plm_memory_zeroed(plan->workers.count, sizeof(double)),
                              plm_memory_zeroed(study->cell_count, sizeof(double)),
                              plm_memory_zeroed(study->cell_count, sizeof(double))};
  size_t left = 0;
  plan->forecasts = plm_memory_zeroed(study->cell_count, sizeof *plan->forecasts);
  int code = schedule.free_at && schedule.grown_at && schedule.done_at && plan->forecasts ? 0 : plm_error_memory(err, "planning cells");
  plan->seconds = 0;
  for (size_t i = 0; i < study->cell_count && !code; i++) {
    const struct plm_cell *cell = &study->cells[i];
    plan->forecasts[i] = (struct forecast){.seconds = NAN, .device = -1};
    schedule.grown_at[i] = schedule.done_at[i] = INFINITY;
    if (cell->shape.layers) {
      plan->forecasts[i].flops_exact = plan_flops_per_token(plan, cell->shape) * (double)cell->tokens;
      plan->forecasts[i].memory_bytes = cell_bytes(plan, cell->shape, &plan->devices[0]);
    }
    left += !cell->refused;
  }
  for (; left > 0 && !code; left--) {
    size_t place = 0;
    double start;
    for (size_t other = 1; other < plan->workers.count; other++)
      place = schedule.free_at[other] < schedule.free_at[place] ? other : place;
    size_t index = next_cell(plan, &schedule, schedule.free_at[place], &start);
    place_cell(plan, &schedule, index, place, start);
  }
  free(schedule.free_at);
  free(schedule.grown_at);
  free(schedule.done_at);
  return code;
}

struct plan_totals plan_totals(const struct plan *plan) {
  struct plan_totals totals = {0};
  for (size_t i = 0; i < plan->study->cell_count; i++) {
    const struct plm_cell *cell = &plan->study->cells[i];
    const struct forecast *forecast = &plan->forecasts[i];
    if (cell->refused) {
      totals.refused++;
      continue;
    }
    totals.cells++;
    totals.tokens += (double)cell->tokens;
    totals.flops_6nd += cell->flops_6nd;
    totals.flops_exact += forecast->flops_exact;
    totals.sweep_cells += cell->sweep != 0;
    totals.sweep_6nd += cell->sweep ? cell->flops_6nd : 0;
    totals.sweep_exact += cell->sweep ? forecast->flops_exact : 0;
    totals.saved_6nd += (1 - forecast->own) * cell->flops_6nd;
    totals.saved_exact += (1 - forecast->own) * forecast->flops_exact;
    if (forecast->memory_bytes > totals.memory_bytes)
      totals.memory_bytes = forecast->memory_bytes;
  }
  return totals;
}
