#include "cli/plan.h"

#include <math.h>
#include <stdio.h>

#include "base/number.h"
#include "study/trunk.h"

/* -------------------------------------------------------------------- JSON */

static json_t *real_or_null(double value, int known) {
  return known && isfinite(value) ? json_real(value) : json_null();
}

static json_t *count_or_null(uint64_t value) { return value ? json_integer((json_int_t)value) : json_null(); }

static json_t *cell_json(const struct plan *plan, size_t index) {
  const struct plm_cell *cell = &plan->study->cells[index];
  const struct forecast *forecast = &plan->forecasts[index];
  const char *device = forecast->device >= 0 ? plan->devices[forecast->device].text : NULL;
  double epochs = plan->means.epoch_tokens > 0 ? (double)cell->tokens / plan->means.epoch_tokens : NAN;
  return json_pack("{s:s, s:o, s:o, s:o, s:I, s:o, s:o, s:I, s:f, s:o, s:I, s:o, s:o, s:o, s:o, s:I, s:o, s:s?, s:s?, s:I, s:s?, s:s}",
                   "id", cell->id, "layers", count_or_null(cell->shape.layers), "width",
                   count_or_null(cell->shape.width), "heads", count_or_null(cell->shape.heads), "n_layers_only",
                   (json_int_t)cell->n_layers_only, "n_with_head", count_or_null((uint64_t)cell->n_with_head),
                   "n_total", count_or_null((uint64_t)cell->n_total), "tokens", (json_int_t)cell->tokens, "flops_6nd",
                   cell->flops_6nd, "flops_exact", real_or_null(forecast->flops_exact, forecast->flops_exact > 0),
                   "steps", (json_int_t)cell->steps, "seconds", real_or_null(forecast->seconds, 1), "memory_bytes",
                   count_or_null(forecast->memory_bytes), "budget", real_or_null(cell->budget, cell->budget > 0), "lr",
                   real_or_null(cell->lr, 1), "seed", (json_int_t)cell->seed, "epochs", real_or_null(epochs, 1), "device", device,
                   "refused", cell->refused, "steps_shared", (json_int_t)plm_trunk_shared(plan->study, cell), "parent",
                   cell->parent == PLM_NO_CELL ? NULL : plan->study->cells[cell->parent].id, "role",
                   cell->sweep ? "sweep" : "point");
}

static json_t *device_json(const struct plm_plan_device *device, double share) {
  json_t *points = json_array();
  for (uint32_t i = 0; i < device->count && points; i++) {
    char shape[PLM_SHAPE_TEXT];
    plm_shape_text(shape, device->points[i].shape.shape);
    if (json_array_append_new(points, json_pack("{s:s, s:f, s:f}", "shape", shape, "flops_per_token",
                                                device->points[i].shape.flops_per_token, "tokens_per_s",
                                                device->points[i].tokens_per_s))) {
      json_decref(points);
      return NULL;
    }
  }
  int sheet = device->gflops > 0;
  return json_pack("{s:s, s:i, s:i, s:s?, s:o, s:o, s:o, s:o}", "device", device->text, "slots", (int)device->slots,
                   "threads", (int)device->threads, "reason", *device->reason ? device->reason : NULL,
                   "sheet_gflops", real_or_null(device->gflops, sheet), "sheet_gbps", real_or_null(device->gbps, sheet),
                   "sheet_share", real_or_null(share, sheet), sheet ? "computed" : "measured", points);
}

/* Fills array; -1 without memory. */
static int json_fill(json_t *cells, json_t *devices, const struct plan *plan) {
  for (size_t i = 0; i < plan->study->cell_count; i++)
    if (json_array_append_new(cells, cell_json(plan, i)))
      return -1;
  for (uint32_t i = 0; i < plan->device_count; i++)
    if (json_array_append_new(devices, device_json(&plan->devices[i], plan->request->share)))
      return -1;
  return 0;
}

json_t *plan_json(const struct plan *plan) {
  struct plan_totals totals = plan_totals(plan);
  json_t *cells = json_array(), *devices = json_array();
  if (!cells || !devices || json_fill(cells, devices, plan)) {
    json_decref(cells);
    json_decref(devices);
    return NULL;
  }
  return json_pack("{s:s, s:s, s:{s:s, s:s, s:f, s:f, s:f}, s:o, s:o, s:{s:I, s:I, s:f, s:f, s:f, s:f, s:f, s:o, s:I, s:f, s:f}}", "schema",
                   "plmscale.plan/1", "study", plan->study->path, "corpus", "path", plan->study->corpus, "digest",
                   plan->corpus->digest, "train_sequences", plan->means.sequences, "train_tokens",
                   plan->means.epoch_tokens, "squares_per_token", plan->means.squares_per_token, "devices", devices,
                   "cells", cells, "totals", "cells", (json_int_t)totals.cells, "refused", (json_int_t)totals.refused,
                   "tokens", totals.tokens, "flops_6nd", totals.flops_6nd, "flops_exact", totals.flops_exact,
                   "flops_6nd_saved", totals.saved_6nd, "flops_exact_saved", totals.saved_exact, "seconds",
                   real_or_null(plan->seconds, 1), "sweep_cells", (json_int_t)totals.sweep_cells, "sweep_flops_6nd",
                   totals.sweep_6nd, "sweep_flops_exact", totals.sweep_exact);
}

/* ------------------------------------------------------------------- table */

static const char *short_text(char out[24], double value) {
  plm_number_short(out, 24, value);
  return out;
}

static void print_cell(const struct plan *plan, size_t index) {
  const struct plm_cell *cell = &plan->study->cells[index];
  const struct forecast *forecast = &plan->forecasts[index];
  char shape[PLM_SHAPE_TEXT], params[24], tokens[24], epochs[24], memory[24], time[24] = "-", rate[24] = "by sweep";
  plm_shape_text(shape, cell->shape);
  plm_number_bytes(memory, sizeof memory, forecast->memory_bytes);
  if (isfinite(cell->lr))
    snprintf(rate, sizeof rate, "%.2g", cell->lr);
  if (isfinite(forecast->seconds))
    plm_number_duration(time, sizeof time, forecast->seconds);
  printf("%-16s  %-11s  %7s  %7s  %8.2e  %8.2e  %9lld  %7s  %8s  %4llu  %9s  %11s", cell->id, shape,
         short_text(params, (double)cell->n_layers_only), short_text(tokens, (double)cell->tokens), cell->flops_6nd,
         forecast->flops_exact, (long long)cell->steps,
         short_text(epochs, (double)cell->tokens / plan->means.epoch_tokens), rate, (unsigned long long)cell->seed,
         memory, time);
  if (plan->device_count > 1)
    printf("  %s", plan->devices[forecast->device].text);
  if (cell->sweep)
    fputs("  sweep", stdout);
  putchar('\n');
}

static void print_refused(const struct plan *plan) {
  for (size_t i = 0; i < plan->study->cell_count; i++) {
    const struct plm_cell *cell = &plan->study->cells[i];
    char shape[PLM_SHAPE_TEXT] = "no shape", params[24], tokens[24];
    if (!cell->refused)
      continue;
    if (cell->shape.layers)
      plm_shape_text(shape, cell->shape);
    printf("%-16s  %-11s  %7s  %7s  refused: %s\n", cell->id, shape, short_text(params, (double)cell->n_layers_only),
           short_text(tokens, (double)cell->tokens), cell->refused);
  }
}

static void print_devices(const struct plan *plan) {
  for (uint32_t i = 0; i < plan->device_count; i++) {
    const struct plm_plan_device *device = &plan->devices[i];
    printf("On %s: %u cell%s at a time, ", device->text, device->slots, device->slots == 1 ? "" : "s");
    if (device->gflops > 0) {
      printf("at %.0f %% of what its data sheet allows (%.6g GFLOP/s, %.6g GB/s); nothing measured.\n",
             100 * plan->request->share, device->gflops, device->gbps);
      continue;
    }
    printf("%u thread%s each, ", device->threads, device->threads == 1 ? "" : "s");
    if (device->count)
      printf("%u shape%s measured.\n", device->count, device->count == 1 ? "" : "s");
    else
      puts(plan->request->no_measure ? "not measured." : "could not be measured.");
  }
}

static void print_footer(const struct plan *plan) {
  struct plan_totals totals = plan_totals(plan);
  char tokens[24], corpus[24], memory[24], wall[24];
  plm_number_bytes(memory, sizeof memory, totals.memory_bytes);
  printf("\n%zu cell%s to train", totals.cells, totals.cells == 1 ? "" : "s");
  if (totals.refused)
    printf(", %zu refused", totals.refused);
  printf(": %s tokens in all, %.2e FLOP by 6ND, %.2e with attention and head counted exactly.\n",
         short_text(tokens, totals.tokens), totals.flops_6nd, totals.flops_exact);
  if (totals.sweep_cells)
    printf("%zu of them are runs of learning-rate sweeps: %.2e FLOP by 6ND, %.2e exactly. They are no points of the law.\n",
           totals.sweep_cells, totals.sweep_6nd, totals.sweep_exact);
  if (totals.saved_exact > 0)
    printf("Shared trunks save %.2e FLOP by 6ND, %.2e exactly (%.0f %%): TIME is of a cell's own steps.\n",
           totals.saved_6nd, totals.saved_exact, 100 * totals.saved_exact / totals.flops_exact);
  printf("The training split has %s tokens (%.0f sequences) when cropped to %lld.\n",
         short_text(corpus, plan->means.epoch_tokens), plan->means.sequences,
         (long long)plan->study->config.data_length_max);
  print_devices(plan);
  if (isfinite(plan->seconds)) {
    plm_number_duration(wall, sizeof wall, plan->seconds);
    printf("The whole study takes about %s", wall);
  } else {
    printf("How long it takes is not known");
  }
  printf("; the largest cell needs %s on its device.\n", memory);
}

void plan_print(const struct plan *plan) {
  printf("%-16s  %-11s  %7s  %7s  %8s  %8s  %9s  %7s  %8s  %4s  %9s  %11s%s\n", "CELL", "SHAPE", "N", "TOKENS", "C=6ND",
         "C EXACT", "STEPS", "EPOCHS", "LR", "SEED", "MEMORY", "TIME", plan->device_count > 1 ? "  DEVICE" : "");
  for (size_t i = 0; i < plan->study->cell_count; i++)
    if (!plan->study->cells[i].refused)
      print_cell(plan, i);
  print_refused(plan);
  print_footer(plan);
}
