/* plmscale ops: a training step as the list of ops that a backend gets, with what each of them costs at least. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/number.h"
#include "cli/cli.h"
#include "model/program.h"

enum option_key { KEY_LENGTH = 1000, KEY_REQUIRED, KEY_GFLOPS, KEY_GBPS, KEY_LAUNCH };

struct request {
  struct plm_shape shape;
  int64_t tokens, length;
  double gflops, gbps, launch_us; /* 0: not given */
  int required;
};

static const struct argp_option options[] = {
    {"shape", 's', "LxDxH", 0, "Layers x width x heads (6x320x20)", 0},
    {"tokens", 't', "N", 0, "Tokens of one micro-batch (16384)", 0},
    {"length", KEY_LENGTH, "N", 0, "Tokens of every sequence in it (256)", 0},
    {"required", KEY_REQUIRED, NULL, 0, "The program of a backend that takes no fused op", 0},
    {"gflops", KEY_GFLOPS, "G", 0, "Peak of a device in GFLOP/s: adds the least time of every op", 1},
    {"gbps", KEY_GBPS, "G", 0, "Its memory bandwidth in GB/s", 1},
    {"launch-us", KEY_LAUNCH, "U", 0, "Microseconds that one launch costs at least (5)", 1},
    {0}};

static double take_real(const char *option, const char *text, struct argp_state *state) {
  double value = 0;
  if (plm_number_real(&value, text, NULL) || value <= 0)
    argp_error(state, "--%s \"%s\": must be a number above 0", option, text);
  return value;
}

static int64_t take_count(const char *option, const char *text, int64_t least, struct argp_state *state) {
  int64_t value = 0;
  if (plm_number_integer(&value, text, NULL) || value < least || value > 1 << 24)
    argp_error(state, "--%s \"%s\": must be a whole number from %lld to %d", option, text, (long long)least, 1 << 24);
  return value;
}

static error_t parse_option(int key, char *text, struct argp_state *state) {
  struct request *r = state->input;
  struct plm_error why = PLM_ERROR_INIT;
  switch (key) {
  case 's':
    if (plm_shape_parse(&r->shape, text, &why))
      argp_error(state, "--shape: %s", why.text);
    return 0;
  case 't':
    r->tokens = take_count("tokens", text, 3, state);
    return 0;
  case KEY_LENGTH:
    r->length = take_count("length", text, 3, state);
    return 0;
  case KEY_REQUIRED:
    r->required = 1;
    return 0;
  case KEY_GFLOPS:
    r->gflops = take_real("gflops", text, state);
    return 0;
  case KEY_GBPS:
    r->gbps = take_real("gbps", text, state);
    return 0;
  case KEY_LAUNCH:
    r->launch_us = take_real("launch-us", text, state);
    return 0;
  case ARGP_KEY_END:
    if (r->length > r->tokens)
      argp_error(state, "--length %lld: must be at most --tokens %lld", (long long)r->length, (long long)r->tokens);
    if ((r->gflops > 0) != (r->gbps > 0))
      argp_error(state, "--gflops and --gbps: a floor needs both");
    return 0;
  default:
    return ARGP_ERR_UNKNOWN;
  }
}

static const struct argp ops_argp = {
    options, parse_option, NULL,
    "Show one training step of one micro-batch as the ops that a backend gets: how often, and the matrix FLOPs and bytes "
    "that each needs at least."
    "\vFLOP/byte says what limits an op: below a device's GFLOP/s over GB/s it is the memory. With --gflops and --gbps the "
    "least time is the larger of both limits plus the launches, one launch an op; nothing is measured here. 15 % of the "
    "tokens are selected. Example for the data sheet of a card: plmscale ops --shape 12x480x20 --gflops 20000 --gbps 500",
    NULL, NULL, NULL};

/* Accepts every op, or only what every backend must have. */
static int answer(void *context, const struct plm_op *op, struct plm_verdict *out, struct plm_error *err) {
  const struct request *r = context;
  const uint32_t fused = PLM_FLAG_BIAS | PLM_FLAG_GELU | PLM_FLAG_RESIDUAL | PLM_FLAG_ROTARY;
  (void)err;
  out->status = r->required && op->flags & fused ? PLM_VERDICT_UNSUPPORTED : PLM_VERDICT_SUPPORTED;
  out->preference = 100;
  return 0;
}

/* Ops of a step that have the same kind, flags, fixed extents and rows. */
struct line {
  uint32_t kind, count;
  char text[96], rows;
  double flops, bytes; /* of one */
};

struct table {
  struct line *lines;
  size_t count, capacity;
};

static char rows_letter(struct plm_op op) {
  static const char letters[] = {'-', 'T', 'S', 'M'};
  uint32_t count;
  const struct plm_extent *extent = plm_op_extents(&op, &count);
  return count ? letters[extent[0].symbol] : '-';
}

static int table_add(struct table *t, const struct plm_program *program, const struct plm_extents *extents,
                     struct plm_error *err) {
  for (uint32_t i = 0; i < program->count; i++) {
    const struct plm_op *op = &program->ops[i];
    struct line line = {.kind = op->kind, .count = 1, .rows = rows_letter(*op)};
    size_t k = 0;
    plm_op_describe(line.text, sizeof line.text, op);
    line.flops = plm_op_flops(op, extents);
    line.bytes = plm_op_bytes(op, extents);
    while (k < t->count && (t->lines[k].kind != line.kind || t->lines[k].rows != line.rows ||
                            t->lines[k].bytes != line.bytes || strcmp(t->lines[k].text, line.text) != 0))
      k++;
    if (k < t->count) {
      t->lines[k].count++;
      continue;
    }
    void *lines = t->lines;
    if (plm_memory_grow(&lines, &t->capacity, t->count + 1, sizeof *t->lines))
      return plm_error_memory(err, "listing ops");
    t->lines = lines;
    t->lines[t->count++] = line;
  }
  return 0;
}

static double line_seconds(const struct request *r, const struct line *l) {
  const double compute = l->flops / (r->gflops * 1e9), memory = l->bytes / (r->gbps * 1e9);
  return (compute > memory ? compute : memory) + r->launch_us * 1e-6;
}

static void print_line(const struct request *r, const struct line *l) {
  printf("%5u  %-18s %-44s %c  %10.3f %10.3f %8.1f", l->count, plm_op_name(l->kind), l->text, l->rows,
         l->count * l->flops / 1e9, l->count * l->bytes / 1e6, l->flops / l->bytes);
  if (r->gflops > 0)
    printf(" %10.3f  %s", 1e3 * l->count * line_seconds(r, l),
           l->flops / r->gflops > l->bytes / r->gbps        ? "compute"
           : l->bytes / (r->gbps * 1e9) > r->launch_us * 1e-6 ? "memory"
                                                              : "launch");
  putchar('\n');
}

static void print_table(const struct request *r, const struct table *t) {
  double flops = 0, bytes = 0, seconds = 0;
  uint32_t launches = 0;
  char shape[PLM_SHAPE_TEXT];
  plm_shape_text(shape, r->shape);
  printf("%s, %lld tokens in sequences of %lld; rows: T tokens, M selected\n\n", shape, (long long)r->tokens,
         (long long)r->length);
  printf("count  %-18s %-44s %s %10s %10s %8s%s\n", "op", "what", "rows", "GFLOP", "MB", "FLOP/B",
         r->gflops > 0 ? "      ms >=  limit" : "");
  for (size_t i = 0; i < t->count; i++) {
    const struct line *l = &t->lines[i];
    print_line(r, l);
    launches += l->count;
    flops += l->count * l->flops;
    bytes += l->count * l->bytes;
    if (r->gflops > 0)
      seconds += l->count * line_seconds(r, l);
  }
  printf("%5u  %-18s %-44s    %10.3f %10.3f %8.1f", launches, "all", "", flops / 1e9, bytes / 1e6, flops / bytes);
  if (r->gflops > 0)
    printf(" %10.3f\n\nat most %.0f tokens/s, %.1f %% of the peak", 1e3 * seconds, (double)r->tokens / seconds,
           100 * flops / seconds / (r->gflops * 1e9));
  putchar('\n');
}

int plm_cli_ops(int argc, char **argv, struct plm_error *err) {
  struct request r = {.shape = {6, 320, 20}, .tokens = 16384, .length = 256, .launch_us = 5};
  const struct plm_optimizer optimizer = {0.9f, 0.98f, 1e-8f, 0.01f, 1};
  struct plm_model model;
  struct table table = {0};
  int code = plm_cli_parse(&ops_argp, argc, argv, &r, err);
  if (code)
    return code;
  const uint32_t tokens = (uint32_t)r.tokens, length = (uint32_t)r.length, rest = tokens % length;
  const struct plm_capacity capacity = {tokens, tokens / 3 + 1, tokens, length};
  const struct plm_extents extents = {.tokens = tokens,
                                      .sequences = tokens / length + (rest > 0),
                                      .masked = (uint32_t)(0.15 * tokens + 0.5),
                                      .length_squares = (double)(tokens / length) * length * length + (double)rest * rest};
  if ((code = plm_model_init(&model, r.shape, (struct plm_scaling){0}, &capacity, &optimizer, 64, answer, &r, err)))
    return code;
  const struct plm_program *const programs[] = {&model.begin, &model.accumulate, &model.update};
  for (size_t i = 0; i < sizeof programs / sizeof *programs && !code; i++)
    code = table_add(&table, programs[i], &extents, err);
  if (!code)
    print_table(&r, &table);
  free(table.lines);
  plm_model_fini(&model);
  return code;
}
