#include <math.h>
#include <string.h>

#include "base/number.h"
#include "cli/plan.h"
#include "model/program.h"

#define LAUNCH_SECONDS 5e-6 /* one launch an op, as `plmscale ops` has it */
#define MICRO_TOKENS 16384.0

int plan_sheet_parse(struct plan_sheet *out, const char *text, struct plm_error *err) {
  const char *equals = strchr(text, '='), *comma = equals ? strchr(equals, ',') : NULL;
  char gflops[32];
  size_t name = equals ? (size_t)(equals - text) : 0, number = comma ? (size_t)(comma - equals - 1) : 0;
  struct plm_error inner = PLM_ERROR_INIT;
  if (!name || name >= sizeof out->name || memchr(text, ',', name) || !number || number >= sizeof gflops)
    return plm_error_set(err, PLM_E_USAGE, "--sheet \"%.80s\": NAME=GFLOPS,GBPS is right, for example card=20000,500", text);
  memcpy(out->name, text, name);
  out->name[name] = 0;
  memcpy(gflops, equals + 1, number);
  gflops[number] = 0;
  if (plm_number_real(&out->gflops, gflops, &inner) || plm_number_real(&out->gbps, comma + 1, &inner))
    return plm_error_set(err, PLM_E_USAGE, "--sheet \"%.80s\": %.300s", text, inner.text);
  if (!(out->gflops > 0 && out->gbps > 0))
    return plm_error_set(err, PLM_E_USAGE, "--sheet \"%.80s\": GFLOP/s and GB/s must be above 0", text);
  return 0;
}

/* A backend that takes every op. */
static int answer(void *context, const struct plm_op *op, struct plm_verdict *out, struct plm_error *err) {
  (void)context;
  (void)op;
  (void)err;
  out->status = PLM_VERDICT_SUPPORTED;
  out->preference = 100;
  return 0;
}

static double program_seconds(const struct plm_program *program, const struct plm_extents *extents,
                              const struct plm_plan_device *device) {
  double seconds = 0;
  for (uint32_t i = 0; i < program->count; i++)
    seconds += LAUNCH_SECONDS + fmax(plm_op_flops(&program->ops[i], extents) / (device->gflops * 1e9),
                                     plm_op_bytes(&program->ops[i], extents) / (device->gbps * 1e9));
  return seconds;
}

/* Tokens per second of whole steps, at most. */
static int ceiling(double *tokens_per_s, const struct plm_plan_device *device, const struct plan *plan,
                   struct plm_shape shape, struct plm_error *err) {
  const struct plm_optimizer optimizer = {0.9f, 0.98f, 1e-8f, 0.01f, 1};
  const struct plm_config *config = &plan->study->config;
  double batch = (double)config->train_batch_tokens;
  double micro = config->run_micro_tokens ? (double)config->run_micro_tokens : fmin(batch, MICRO_TOKENS);
  const struct plm_capacity capacity = {(uint32_t)micro, (uint32_t)micro, (uint32_t)micro,
                                        (uint32_t)config->data_length_max};
  const struct plm_extents extents = {
      .tokens = (uint32_t)micro,
      .sequences = (uint32_t)ceil(micro * plan->means.sequences / fmax(plan->means.epoch_tokens, 1)),
      .masked = (uint32_t)lround(micro * plan->means.residues_per_token * config->data_mask_rate),
      .length_squares = micro * plan->means.squares_per_token};
  struct plm_model model;
  int code = plm_model_init(&model, shape, plm_scaling_of(config), &capacity, &optimizer, 64, answer, NULL, err);
  if (code)
    return code;
  double seconds = program_seconds(&model.begin, &extents, device) + program_seconds(&model.update, &extents, device) +
                   batch / micro * program_seconds(&model.accumulate, &extents, device);
  plm_model_fini(&model);
  *tokens_per_s = batch / seconds;
  return 0;
}

int plan_sheet_rates(struct plm_plan_device *device, const struct plan *plan, const struct plm_plan_shape *shapes,
                     size_t count, struct plm_error *err) {
  int code = 0;
  device->count = (uint32_t)(count < PLM_PLAN_POINTS ? count : PLM_PLAN_POINTS);
  for (uint32_t i = 0; i < device->count && !code; i++) {
    struct plm_plan_point *point = &device->points[i];
    double speed = 0;
    *point = (struct plm_plan_point){.shape = shapes[device->count > 1 ? i * (count - 1) / (device->count - 1) : 0]};
    code = ceiling(&speed, device, plan, point->shape.shape, err);
    point->tokens_per_s = speed * plan->request->share;
  }
  return code;
}
