/*
 * bench_linear [-c] [-r ROUNDS] [-t TOKENS] [-d WIDTH,..] PLUGIN.so[,KEY=VALUE..] ...: matrix products of a linear layer, GFLOP/s
 * of each plugin (with its settings) side by side, and the ratio to the first. Not a test: timings are never asserted.
 *
 * The plugins take turns, ROUNDS times for each shape; the best and the median round are shown. A round runs an op until
 * it has taken 20 ms, and waits once. -c: one thread and CPU time of the process, for a machine that others use too (PoCL
 * needs POCL_MAX_PTHREAD_COUNT=1 as well).
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/rng.h"
#include "runtime/plugin.h"

#define CONTENDERS 8
#define ROUNDS_MAX 64
#define SETTINGS 8

struct contender {
  const char *label;
  struct plm_plugin *plugin;
  struct plm_device *device;
  struct plm_queue *queue;
  struct plm_buffer *wide, *narrow, *more, *weights, *gradient, *vector, *workspace;
  uint64_t workspace_bytes;
  double seconds[ROUNDS_MAX];
};

struct product {
  const char *name;
  uint32_t kind, flags, rows, in, out;
};

static struct contender contenders[CONTENDERS];
static int contender_count, rounds = 7;
static clockid_t clock_id = CLOCK_MONOTONIC;

static void must(int code, const struct plm_error *err) {
  if (!code)
    return;
  fprintf(stderr, "bench_linear: %s\n", err->text);
  exit(1);
}

static double now(void) {
  struct timespec t;
  clock_gettime(clock_id, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void open_contender(char *text) {
  struct contender *c = &contenders[contender_count++];
  struct plm_setting settings[SETTINGS];
  uint32_t count = 0;
  struct plm_error err = PLM_ERROR_INIT;
  c->label = strdup(text);
  char *rest = text, *path = strsep(&rest, ",");
  for (char *part = strsep(&rest, ","); part && count < SETTINGS; part = strsep(&rest, ",")) {
    char *equals = strchr(part, '=');
    if (!equals) {
      fprintf(stderr, "bench_linear: \"%s\": must be KEY=VALUE\n", part);
      exit(2);
    }
    *equals = 0;
    settings[count++] = (struct plm_setting){part, equals + 1};
  }
  must(plm_plugin_load(&c->plugin, path, settings, count, clock_id == CLOCK_MONOTONIC ? 0 : 1, &err), &err);
  must(c->plugin->backend.device_open(0, &c->device, &err), &err);
  must(c->plugin->backend.queue_create(c->device, &c->queue, &err), &err);
}

static struct plm_buffer *filled(struct contender *c, uint64_t count) {
  struct plm_buffer *buffer = NULL;
  struct plm_error err = PLM_ERROR_INIT;
  float *data = plm_memory_zeroed(count, sizeof *data);
  if (!data)
    must(plm_error_memory(&err, "making operands"), &err);
  plm_rng_normal(data, count, 0.05f, 1, PLM_RNG_TEST, 0, 0);
  must(c->plugin->backend.buffer_create(c->device, count * sizeof *data, PLM_BUFFER_DEVICE, &buffer, &err), &err);
  must(c->plugin->backend.buffer_write(c->queue, buffer, 0, data, count * sizeof *data, &err), &err);
  free(data);
  return buffer;
}

static struct plm_view whole(struct plm_buffer *buffer, uint64_t count) {
  return (struct plm_view){buffer, 0, count * 4, PLM_TYPE_F32, 0};
}

/* The op on buffers of its own. */
static struct plm_op bound(struct contender *c, const struct product *p) {
  const uint64_t xs = (uint64_t)p->rows * p->in, ys = (uint64_t)p->rows * p->out, ws = (uint64_t)p->in * p->out;
  struct plm_op op = {.struct_size = sizeof op, .kind = p->kind, .flags = p->flags, .type = PLM_TYPE_F32};
  struct plm_extent rows = {p->rows, PLM_EXTENT_TOKENS};
  struct plm_view x = whole(c->narrow, xs), y = whole(c->wide, ys), w = whole(c->weights, ws);
  if (p->kind == PLM_OP_LINEAR)
    op.u.linear = (struct plm_op_linear){x, w, whole(c->vector, p->out), {0}, y, {0}, rows, p->in, p->out};
  else if (p->kind == PLM_OP_LINEAR_GRAD_INPUT)
    op.u.linear_grad_input = (struct plm_op_linear_grad_input){y, w, {0}, x, rows, p->in, p->out};
  else
    op.u.linear_grad_weight = (struct plm_op_linear_grad_weight){
        y, x, whole(c->gradient, ws), whole(c->vector, p->out), rows, p->in, p->out};
  if (p->flags & PLM_FLAG_RESIDUAL)
    op.u.linear.residual = whole(c->more, ys);
  if (p->kind == PLM_OP_LINEAR && p->flags & PLM_FLAG_GELU)
    op.u.linear.pre = whole(c->more, ys);
  if (p->kind == PLM_OP_LINEAR_GRAD_INPUT && p->flags & PLM_FLAG_GELU)
    op.u.linear_grad_input.pre = whole(c->more, xs);
  return op;
}

static struct plm_op prepare(struct contender *c, const struct product *p) {
  const struct plm_backend *b = &c->plugin->backend;
  struct plm_error err = PLM_ERROR_INIT;
  struct plm_verdict verdict = {.struct_size = sizeof verdict};
  const uint64_t xs = (uint64_t)p->rows * p->in, ys = (uint64_t)p->rows * p->out;
  c->narrow = filled(c, xs);
  c->wide = filled(c, ys);
  c->more = filled(c, xs > ys ? xs : ys);
  c->weights = filled(c, (uint64_t)p->in * p->out);
  c->gradient = filled(c, (uint64_t)p->in * p->out);
  c->vector = filled(c, p->out);
  struct plm_op op = bound(c, p);
  must(b->op_query(c->device, &op, &verdict, &err), &err);
  if (verdict.status != PLM_VERDICT_SUPPORTED) {
    fprintf(stderr, "bench_linear: %s: %s\n", c->label, verdict.text);
    exit(1);
  }
  if (verdict.workspace_bytes) {
    must(b->buffer_create(c->device, verdict.workspace_bytes, PLM_BUFFER_DEVICE, &c->workspace, &err), &err);
    op.workspace = (struct plm_view){c->workspace, 0, verdict.workspace_bytes, PLM_TYPE_F32, 0};
  }
  return op;
}

static void clean(struct contender *c) {
  struct plm_buffer *all[] = {c->wide, c->narrow, c->more, c->weights, c->gradient, c->vector, c->workspace};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    c->plugin->backend.buffer_destroy(all[i]);
  c->workspace = NULL;
}

/* Seconds for count runs. */
static double run(struct contender *c, const struct plm_op *op, uint32_t count) {
  const struct plm_backend *b = &c->plugin->backend;
  struct plm_error err = PLM_ERROR_INIT;
  const double start = now();
  for (uint32_t i = 0; i < count; i++)
    must(b->op_run(c->queue, op, &err), &err);
  must(b->queue_finish(c->queue, &err), &err);
  return now() - start;
}

static int ascending(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static void measure(const struct product *p) {
  const double gflop = 2e-9 * p->rows * p->in * p->out;
  struct plm_op ops[CONTENDERS];
  uint32_t counts[CONTENDERS];
  for (int i = 0; i < contender_count; i++) {
    ops[i] = prepare(&contenders[i], p);
    run(&contenders[i], &ops[i], 2); /* compiles */
    counts[i] = (uint32_t)fmin(1000, 1 + 0.02 / run(&contenders[i], &ops[i], 1));
  }
  for (int r = 0; r < rounds; r++)
    for (int i = 0; i < contender_count; i++)
      contenders[i].seconds[r] = run(&contenders[i], &ops[i], counts[i]) / counts[i];
  printf("| %ux%ux%u %s |", p->rows, p->in, p->out, p->name);
  for (int i = 0; i < contender_count; i++) {
    struct contender *c = &contenders[i];
    qsort(c->seconds, (size_t)rounds, sizeof(double), ascending);
    printf(" %.0f (%.0f) |", gflop / c->seconds[0], gflop / c->seconds[rounds / 2]);
    clean(c);
  }
  for (int i = 1; i < contender_count; i++)
    printf(" %.2f |", contenders[0].seconds[0] / contenders[i].seconds[0]);
  printf("\n");
  fflush(stdout);
}

static void measure_model(uint32_t tokens, uint32_t width) {
  const uint32_t masked = tokens * 3 / 20 + 1, qkv = 3 * width, wide = 4 * width;
  const struct product products[] = {
      {"qkv", PLM_OP_LINEAR, PLM_FLAG_BIAS, tokens, width, qkv},
      {"out", PLM_OP_LINEAR, PLM_FLAG_BIAS | PLM_FLAG_RESIDUAL, tokens, width, width},
      {"up", PLM_OP_LINEAR, PLM_FLAG_BIAS | PLM_FLAG_GELU, tokens, width, wide},
      {"down", PLM_OP_LINEAR, PLM_FLAG_BIAS | PLM_FLAG_RESIDUAL, tokens, wide, width},
      {"head", PLM_OP_LINEAR, PLM_FLAG_BIAS, masked, width, 33},
      {"qkv dx", PLM_OP_LINEAR_GRAD_INPUT, 0, tokens, width, qkv},
      {"up dx", PLM_OP_LINEAR_GRAD_INPUT, 0, tokens, width, wide},
      {"down dx", PLM_OP_LINEAR_GRAD_INPUT, PLM_FLAG_GELU, tokens, wide, width},
      {"head dx", PLM_OP_LINEAR_GRAD_INPUT, 0, masked, width, 33},
      {"qkv dw", PLM_OP_LINEAR_GRAD_WEIGHT, PLM_FLAG_BIAS, tokens, width, qkv},
      {"out dw", PLM_OP_LINEAR_GRAD_WEIGHT, PLM_FLAG_BIAS, tokens, width, width},
      {"up dw", PLM_OP_LINEAR_GRAD_WEIGHT, PLM_FLAG_BIAS, tokens, width, wide},
      {"down dw", PLM_OP_LINEAR_GRAD_WEIGHT, PLM_FLAG_BIAS, tokens, wide, width},
      {"head dw", PLM_OP_LINEAR_GRAD_WEIGHT, PLM_FLAG_BIAS, masked, width, 33},
  };
  for (size_t i = 0; i < sizeof products / sizeof *products; i++)
    measure(&products[i]);
}

int main(int argc, char **argv) {
  uint32_t tokens = 4096;
  char *widths = NULL;
  for (int o; (o = getopt(argc, argv, "cr:t:d:")) != -1;)
    if (o == 'r')
      rounds = atoi(optarg);
    else if (o == 't')
      tokens = (uint32_t)strtoul(optarg, NULL, 10);
    else if (o == 'd')
      widths = optarg;
    else if (o == 'c')
      clock_id = CLOCK_PROCESS_CPUTIME_ID;
    else
      rounds = 0;
  if (rounds < 1 || rounds > ROUNDS_MAX || !tokens || optind == argc || argc - optind > CONTENDERS) {
    fprintf(stderr, "usage: bench_linear [-c] [-r ROUNDS] [-t TOKENS] [-d WIDTH,..] PLUGIN.so[,KEY=VALUE..] ... (up to %d)\n",
            CONTENDERS);
    return 2;
  }
  for (int i = optind; i < argc; i++)
    open_contender(argv[i]);
  printf("| rows x in x out |");
  for (int i = 0; i < contender_count; i++)
    printf(" %s |", strrchr(contenders[i].label, '/') ? strrchr(contenders[i].label, '/') + 1 : contenders[i].label);
  for (int i = 1; i < contender_count; i++)
    printf(" ratio %d |", i + 1);
  printf("\n");
  char standard[] = "64,128,320,480,1280", *rest = widths ? widths : standard;
  for (char *part = strsep(&rest, ","); part; part = strsep(&rest, ","))
    measure_model(tokens, (uint32_t)strtoul(part, NULL, 10));
  return 0;
}
