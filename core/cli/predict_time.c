#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "cli/predict.h"
#include "law/workers.h"

/* A shape that a device trained: all its runs. */
struct trained {
  struct plm_plan_shape shape;
  double tokens, seconds;
};

static int trained_order(const void *a, const void *b) {
  const struct trained *x = a, *y = b;
  return (x->shape.flops_per_token > y->shape.flops_per_token) - (x->shape.flops_per_token < y->shape.flops_per_token);
}

static int is_timed(const struct plm_run *run) { return !strcmp(run->status, "done") && run->figures.seconds > 0; }

static int same_device(const struct plm_run *a, const struct plm_run *b) {
  return !strcmp(a->device_name, b->device_name) && a->figures.threads == b->figures.threads;
}

static struct plm_shape shape_of(const struct plm_run *run) {
  return (struct plm_shape){(uint32_t)run->figures.layers, (uint32_t)run->figures.width, (uint32_t)run->figures.heads};
}

/* What the device of runs->runs[first] trained, ascending; returns how many shapes. */
static size_t trained_take(struct trained *out, const struct plm_study_runs *runs, size_t first, const struct plan *plan) {
  size_t count = 0;
  for (size_t i = first; i < runs->count; i++) {
    const struct plm_run *run = &runs->runs[i];
    if (!is_timed(run) || !same_device(run, &runs->runs[first]))
      continue;
    struct plm_shape shape = shape_of(run);
    size_t at = 0;
    while (at < count && memcmp(&out[at].shape.shape, &shape, sizeof shape) != 0)
      at++;
    if (at == count)
      out[count++] = (struct trained){{shape, plan_flops_per_token(plan, shape)}, 0, 0};
    out[at].tokens += run->figures.tokens;
    out[at].seconds += run->figures.seconds;
  }
  qsort(out, count, sizeof *out, trained_order);
  return count;
}

static void device_judge(struct predict_device *out, const struct plm_plan_point *points, uint32_t count,
                         double flops_per_token) {
  double low = points[0].shape.flops_per_token, high = points[count - 1].shape.flops_per_token;
  out->tokens_per_s = plm_plan_rate(points, count, flops_per_token);
  out->basis = flops_per_token < low || flops_per_token > high ? "extrapolated" : "interpolated";
  out->ratio = flops_per_token < low ? flops_per_token / low : flops_per_token > high ? flops_per_token / high : 1;
}

/* Every device of the runs once, at what it did. */
static int devices_of_runs(struct prediction *out, const struct plm_study_runs *runs, const struct plan *plan,
                           struct plm_error *err) {
  struct trained *trained = plm_memory_zeroed(runs->count, sizeof *trained);
  struct plm_plan_point *points = plm_memory_zeroed(runs->count, sizeof *points);
  int code = trained && points ? 0 : plm_error_memory(err, "the devices of a study");
  for (size_t i = 0; !code && i < runs->count && out->device_count < PREDICT_DEVICES_MAX; i++) {
    const struct plm_run *run = &runs->runs[i];
    size_t before = 0;
    while (before < i && !(is_timed(&runs->runs[before]) && same_device(&runs->runs[before], run)))
      before++;
    if (!is_timed(run) || before < i)
      continue;
    size_t count = trained_take(trained, runs, i, plan);
    for (size_t k = 0; k < count; k++)
      points[k] = (struct plm_plan_point){trained[k].shape, trained[k].tokens / trained[k].seconds, 0};
    struct predict_device *device = &out->devices[out->device_count++];
    snprintf(device->name, sizeof device->name, "%s", run->device_name);
    device->threads = (uint32_t)run->figures.threads;
    device_judge(device, points, (uint32_t)count, out->flops_per_token);
  }
  free(trained);
  free(points);
  return code;
}

static int device_ask(struct prediction *out, const struct plan *plan, const char *text, const struct plan_sheet *sheet,
                      struct plm_error *err) {
  const struct plm_plan_shape shape = {out->shape, out->flops_per_token};
  struct plm_plan_device asked = {.text = text, .slots = 1};
  asked.threads = plan->request->threads ? (uint32_t)plan->request->threads : (uint32_t)plan->study->config.run_threads;
  if (!asked.threads)
    asked.threads = plm_workers_default();
  if (sheet) {
    asked.gflops = sheet->gflops;
    asked.gbps = sheet->gbps;
  }
  int code = sheet ? plan_sheet_rates(&asked, plan, &shape, 1, err) : plm_plan_measure(&asked, plan->study, &shape, 1, err);
  if (code)
    return code;
  if (!asked.count)
    plm_log(PLM_LOG_WARN, "device \"%s\": no time can be told: %s", text, asked.reason);
  struct predict_device *device = &out->devices[out->device_count++];
  snprintf(device->name, sizeof device->name, "%s", text);
  device->threads = sheet ? 0 : asked.threads;
  device->tokens_per_s = plm_plan_tokens_per_s(&asked, out->flops_per_token);
  device->basis = sheet ? "sheet" : "measured";
  device->ratio = 1;
  return 0;
}

int predict_times(struct prediction *out, const struct plm_study_runs *runs, struct plan *plan, struct plm_error *err) {
  const struct plan_request *request = plan->request;
  out->flops_per_token = plan_flops_per_token(plan, out->shape);
  int code = devices_of_runs(out, runs, plan, err);
  for (size_t i = 0; !code && i < request->backend_count && out->device_count < PREDICT_DEVICES_MAX; i++)
    code = device_ask(out, plan, request->backends[i], NULL, err);
  for (size_t i = 0; !code && i < request->sheet_count && out->device_count < PREDICT_DEVICES_MAX; i++)
    code = device_ask(out, plan, request->sheets[i].name, &request->sheets[i], err);
  for (size_t i = 0; i < out->device_count; i++) {
    struct predict_device *device = &out->devices[i];
    device->seconds = device->tokens_per_s > 0 ? out->tokens / device->tokens_per_s : (double)NAN;
  }
  return code;
}
