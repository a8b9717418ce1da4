/*
 * A backend with a choice, for tests of `plmscale tune`: the reference, with four implementations of the linear ops. The first is
 * right and slow, the second fast and wrong, the third right and fast, the fourth does not build.
 */
#include <stdio.h>
#include <time.h>

#include "broken.h"
#include "plmscale/kernels.h"

enum { PATIENT, HASTY, STEADY, STILLBORN, KINDS };
static const char *const names[KINDS] = {"patient", "hasty", "steady", "stillborn"};

/* What shares a choice: the fixed extents, and rows up to 64 or more. */
struct choice {
  uint32_t kind, flags, in, out, many, which;
  double seconds; /* 0: only tried */
};
static struct choice choices[256];
static uint32_t choice_count;
static char profile[512];

static int chooses(const struct plm_op *op) { return op->kind >= PLM_OP_LINEAR && op->kind <= PLM_OP_LINEAR_GRAD_WEIGHT; }

static struct choice key_of(const struct plm_op *op) {
  struct choice key = {.kind = op->kind, .flags = op->flags};
  uint32_t rows = 0;
  if (op->kind == PLM_OP_LINEAR)
    key.in = op->u.linear.in, key.out = op->u.linear.out, rows = op->u.linear.rows.count;
  else if (op->kind == PLM_OP_LINEAR_GRAD_INPUT)
    key.in = op->u.linear_grad_input.in, key.out = op->u.linear_grad_input.out, rows = op->u.linear_grad_input.rows.count;
  else if (op->kind == PLM_OP_LINEAR_GRAD_WEIGHT)
    key.in = op->u.linear_grad_weight.in, key.out = op->u.linear_grad_weight.out,
    rows = op->u.linear_grad_weight.rows.count;
  key.many = rows > 64;
  return key;
}

/* The place of an op's choice, new when there is none: PATIENT. */
static struct choice *choice_of(const struct plm_op *op) {
  const struct choice key = key_of(op);
  for (uint32_t i = 0; i < choice_count; i++)
    if (choices[i].kind == key.kind && choices[i].flags == key.flags && choices[i].in == key.in &&
        choices[i].out == key.out && choices[i].many == key.many)
      return &choices[i];
  choices[choice_count] = key;
  return &choices[choice_count++];
}

static void rest(long microseconds) {
  const struct timespec pause = {0, microseconds * 1000};
  nanosleep(&pause, NULL);
}

static float *last_number(const struct plm_op *op) {
  const struct choice k = key_of(op);
  if (op->kind == PLM_OP_LINEAR)
    return floats(&op->u.linear.y) + (uint64_t)op->u.linear.rows.count * k.out - 1;
  if (op->kind == PLM_OP_LINEAR_GRAD_INPUT)
    return floats(&op->u.linear_grad_input.dx) + (uint64_t)op->u.linear_grad_input.rows.count * k.in - 1;
  return floats(&op->u.linear_grad_weight.dw) + (uint64_t)k.in * k.out - 1;
}

static int tunable_run(struct plm_queue *queue, const struct plm_op *op, struct plm_error *err) {
  const uint32_t which = chooses(op) ? choice_of(op)->which : STEADY;
  if (which == STILLBORN) {
    snprintf(err->text, sizeof err->text, "kernel \"stillborn\": does not build: error in line 1");
    return err->code = PLM_E_BUILD_FAILED;
  }
  const int code = right.op_run(queue, op, err);
  if (!code && which == PATIENT)
    rest(15000);
  if (!code && which == STEADY && chooses(op))
    rest(500);
  if (!code && which == HASTY)
    *last_number(op) += 1;
  return code;
}

static int count(struct plm_device *device, const struct plm_op *op, uint32_t *out, struct plm_error *err) {
  (void)device, (void)err;
  *out = chooses(op) ? KINDS : 1;
  return PLM_OK;
}
static int name(struct plm_device *device, const struct plm_op *op, uint32_t which, char out[PLM_KERNELS_NAME],
                struct plm_error *err) {
  (void)device, (void)err;
  snprintf(out, PLM_KERNELS_NAME, "%s", chooses(op) ? names[which] : "plain");
  return PLM_OK;
}
static int chosen(struct plm_device *device, const struct plm_op *op, uint32_t *out, struct plm_error *err) {
  (void)device, (void)err;
  *out = chooses(op) ? choice_of(op)->which : 0;
  return PLM_OK;
}
static int choose(struct plm_device *device, const struct plm_op *op, uint32_t which, double seconds,
                  struct plm_error *err) {
  (void)device, (void)err;
  if (!chooses(op))
    return PLM_OK;
  choice_of(op)->which = which;
  choice_of(op)->seconds = seconds;
  return PLM_OK;
}

static int save(struct plm_device *device, const char *path, const char **used, struct plm_error *err) {
  FILE *file = fopen(path ? path : "tunable.profile", "w");
  (void)device;
  if (!file) {
    snprintf(err->text, sizeof err->text, "cannot write \"%s\"", path ? path : "tunable.profile");
    return err->code = PLM_E_INTERNAL;
  }
  for (uint32_t i = 0; i < choice_count; i++)
    if (choices[i].seconds > 0)
      fprintf(file, "%u %u %u %u %u %u\n", choices[i].kind, choices[i].flags, choices[i].in, choices[i].out,
              choices[i].many, choices[i].which);
  fclose(file);
  *used = path ? path : "tunable.profile";
  return PLM_OK;
}
static const char *source(struct plm_device *device) {
  (void)device;
  return *profile ? profile : "default";
}

static const void *tunable_extension(const char *wanted, uint32_t version) {
  static const struct plm_kernels_extension kernels = {sizeof kernels, count, name, chosen, choose, save, source};
  return !strcmp(wanted, PLM_KERNELS_EXTENSION) && version == PLM_KERNELS_VERSION ? &kernels : NULL;
}

/* The option "profile" names what save wrote. */
static int tunable_open(uint32_t index, struct plm_device **out, struct plm_error *err) {
  snprintf(profile, sizeof profile, "%s", broken_host->option(broken_host->context, "profile"));
  FILE *file = *profile ? fopen(profile, "r") : NULL;
  choice_count = 0;
  for (struct choice c = {0}; file && fscanf(file, "%u %u %u %u %u %u", &c.kind, &c.flags, &c.in, &c.out, &c.many, &c.which) == 6;)
    choices[choice_count++] = c;
  if (file)
    fclose(file);
  return right.device_open(index, out, err);
}

const struct plm_plugin_card *PLM_PLUGIN_ENTRY(void) {
  static const struct plm_option options[] = {{sizeof *options, "profile", "", "file with choices", 0, 0, PLM_OPTION_TEXT, 0}};
  the_broken = (struct broken){.card = {PLM_CARD_BUILD,
                                        .name = "tunable",
                                        .version = "1.0",
                                        .license = "",
                                        .options = options,
                                        .option_count = 1,
                                        .option_stride = sizeof *options,
                                        .start = broken_start}};
  the_broken.table.op_run = tunable_run;
  the_broken.table.extension = tunable_extension;
  the_broken.table.device_open = tunable_open;
  return &the_broken.card;
}
