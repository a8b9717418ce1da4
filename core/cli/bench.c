#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/number.h"
#include "cli/cli.h"
#include "runtime/layer.h"
#include "runtime/plugin.h"
#include "train/measure.h"

#define SHAPE_MAX 64
#define SETTING_MAX 64
#define LAYER_MAX 4
#define FASTA_SEQUENCES 20000 /* as the PyTorch peer */
#define PEAK_SECONDS 0.6      /* before and after the shapes: together over one second */

enum option_key {
  KEY_FASTA = 1000,
  KEY_CORPUS,
  KEY_STEPS,
  KEY_LENGTH,
  KEY_MICRO,
  KEY_SET,
  KEY_SECONDS,
  KEY_SEED,
  KEY_NO_PEAK,
  KEY_LAYER
};

struct request {
  const char *backend, *fasta, *corpus;
  struct plm_shape shapes[SHAPE_MAX];
  uint32_t shape_count;
  struct plm_setting settings[SETTING_MAX]; /* pieces of the arguments */
  uint32_t setting_count;
  const char *layers[LAYER_MAX];
  uint32_t layer_count;
  int64_t batch_tokens, threads, steps, length_max, micro_tokens, seed;
  double seconds;
  int json, no_peak;
};

static const struct argp_option options[] = {
    {"shape", 's', "LxDxH[,..]", 0, "Layers x width x heads; a list, or more than once (6x320x20)", 0},
    {"fasta", KEY_FASTA, "FILE", 0, "Proteins to train on, plain or compressed; its first 20,000 sequences are read",
     0},
    {"corpus", KEY_CORPUS, "FILE", 0, "Proteins to train on, as made by `plmscale data build`", 0},
    {"output", 'o', "json|md", 0, "JSON (schema plmscale.bench/1), or a table in Markdown (md)", 0},
    {"batch-tokens", 'b', "N", 0, "Tokens per optimizer step (8192)", 1},
    {"length-max", KEY_LENGTH, "N", 0, "Longest sequence with <cls> and <eos>; longer ones are cropped (1024)", 1},
    {"micro-tokens", KEY_MICRO, "N", 0, "Tokens per micro-batch; 0: by the device's cache (0)", 1},
    {"threads", 't', "N", 0, "CPU threads; 0: all cores (0)", 1},
    {"set", KEY_SET, "KEY=VALUE", 0, "An option of the backend; may be given more than once", 1},
    {"seed", KEY_SEED, "N", 0, "Of weights, order and masks (1)", 1},
    {"steps", KEY_STEPS, "N", 0, "Steps to measure after 3 of warm-up (12, or no limit with --seconds)", 2},
    {"seconds", KEY_SECONDS, "S", 0, "Stop measuring after so long", 2},
    {"layer", KEY_LAYER, "NAME[:ARGUMENT]", 0,
     "Put trace, validate, time or fault over the backend, the first one outermost (docs/layers.md)", 2},
    {"no-peak", KEY_NO_PEAK, NULL, 0, "Do not measure the peak of matrix products (no MFU then)", 2},
    {0}};

static void take_shapes(struct request *request, char *text, struct argp_state *state) {
  char *rest = text;
  for (char *part = strsep(&rest, ","); part; part = strsep(&rest, ",")) {
    struct plm_error why = PLM_ERROR_INIT;
    if (request->shape_count == SHAPE_MAX)
      argp_error(state, "--shape: more than %d shapes", SHAPE_MAX);
    if (plm_shape_parse(&request->shapes[request->shape_count++], part, &why))
      argp_error(state, "--shape: %s", why.text);
  }
}

static void take_setting(struct request *request, char *text, struct argp_state *state) {
  char *equals = strchr(text, '=');
  if (!equals || equals == text)
    argp_error(state, "--set \"%s\": must be KEY=VALUE", text);
  if (request->setting_count == SETTING_MAX)
    argp_error(state, "--set: more than %d settings", SETTING_MAX);
  *equals = '\0';
  request->settings[request->setting_count++] = (struct plm_setting){.name = text, .value = equals + 1};
}

static void take_integer(int64_t *out, const char *option, const char *text, int64_t least, int64_t most,
                         struct argp_state *state) {
  struct plm_error why = PLM_ERROR_INIT;
  if (plm_number_integer(out, text, &why))
    argp_error(state, "--%s: %s", option, why.text);
  if (*out < least || *out > most)
    argp_error(state, "--%s \"%s\": must be from %lld to %lld", option, text, (long long)least, (long long)most);
}

static error_t parse_number(struct request *request, int key, char *text, struct argp_state *state) {
  switch (key) {
  case 'b':
    take_integer(&request->batch_tokens, "batch-tokens", text, 8, 1000000000, state);
    return 0;
  case KEY_LENGTH:
    take_integer(&request->length_max, "length-max", text, 8, 65536, state);
    return 0;
  case KEY_MICRO:
    take_integer(&request->micro_tokens, "micro-tokens", text, 0, 1000000000, state);
    return 0;
  case 't':
    take_integer(&request->threads, "threads", text, 0, 4096, state);
    return 0;
  case KEY_SEED:
    take_integer(&request->seed, "seed", text, 0, INT64_MAX, state);
    return 0;
  case KEY_STEPS:
    take_integer(&request->steps, "steps", text, 1, 1000000, state);
    return 0;
  case KEY_SECONDS:
    if (plm_number_real(&request->seconds, text, NULL) || request->seconds <= 0)
      argp_error(state, "--seconds \"%s\": must be a number above 0", text);
    return 0;
  default:
    return ARGP_ERR_UNKNOWN;
  }
}

static error_t parse_option(int key, char *text, struct argp_state *state) {
  struct request *request = state->input;
  switch (key) {
  case 's':
    take_shapes(request, text, state);
    return 0;
  case KEY_FASTA:
    request->fasta = text;
    return 0;
  case KEY_CORPUS:
    request->corpus = text;
    return 0;
  case 'o':
    request->json = !strcmp(text, "json");
    if (!request->json && strcmp(text, "md"))
      argp_error(state, "--output \"%s\": must be json or md", text);
    return 0;
  case KEY_SET:
    take_setting(request, text, state);
    return 0;
  case KEY_LAYER:
    if (request->layer_count == LAYER_MAX)
      argp_error(state, "--layer: there are only %d", LAYER_MAX);
    request->layers[request->layer_count++] = text;
    return 0;
  case KEY_NO_PEAK:
    request->no_peak = 1;
    return 0;
  case ARGP_KEY_ARG:
    if (request->backend)
      return ARGP_ERR_UNKNOWN;
    request->backend = text;
    return 0;
  default:
    return parse_number(request, key, text, state);
  }
}

static const struct argp argp = {options,
                                 parse_option,
                                 "BACKEND[:DEVICE]",
                                 "Measures the training speed of a backend: whole steps of forward, backward, clipping "
                                 "and AdamW on packed batches of real "
                                 "proteins.\v"
                                 "MFU is the rate of useful matrix FLOPs over the best plain matrix product that the "
                                 "same backend reaches in the same "
                                 "process. docs/bench.md says how to read the figures.",
                                 NULL,
                                 NULL,
                                 NULL};

static int check_request(struct request *request, struct plm_error *err) {
  if (!request->backend)
    return plm_error_set(err, PLM_E_USAGE,
                         "which backend? (plmscale bench BACKEND --fasta FILE; see `plmscale backends`)");
  if (!request->fasta == !request->corpus)
    return plm_error_set(err, PLM_E_USAGE, "%s of --fasta FILE and --corpus FILE must be given",
                         request->fasta ? "only one" : "one");
  if (request->batch_tokens < request->length_max)
    return plm_error_set(err, PLM_E_USAGE, "--batch-tokens %lld: fewer than --length-max %lld",
                         (long long)request->batch_tokens, (long long)request->length_max);
  if (!request->steps && request->seconds <= 0)
    request->steps = 12;
  if (!request->shape_count)
    request->shapes[request->shape_count++] = (struct plm_shape){.layers = 6, .width = 320, .heads = 20};
  return 0;
}

/* What is measured with, and what came out. */
struct bench {
  const struct request *request;
  struct plm_plugin *plugin;
  uint32_t device;
  struct plm_device_info info;
  struct plm_corpus *corpus;
  struct plm_gemm_peak peak; /* gflops 0: not measured */
  struct plm_measurement measurements[SHAPE_MAX];
};

static int open_backend(struct bench *bench, struct plm_error *err) {
  const struct request *request = bench->request;
  char *name = NULL, *device = NULL, *path = NULL;
  int code = plm_plugin_select(&name, &device, request->backend, err);
  if (!code)
    code = plm_plugin_resolve(&path, name, err);
  if (!code)
    code = plm_plugin_load(&bench->plugin, path, request->settings, request->setting_count, (uint32_t)request->threads,
                           err);
  if (!code)
    code = plm_plugin_device(&bench->device, bench->plugin, device, err);
  if (!code)
    code = plm_layers_install(bench->plugin, request->layers, request->layer_count, err);
  if (!code)
    code = plm_plugin_describe(&bench->info, bench->plugin, bench->device, err);
  free(path);
  free(device);
  free(name);
  return code;
}

/* Keeps the better of the peaks so far. */
static int measure_peak(struct bench *bench, struct plm_error *err) {
  struct plm_gemm_peak peak;
  if (bench->request->no_peak)
    return 0;
  int code = plm_measure_gemm_peak(&peak, bench->plugin, bench->device, PEAK_SECONDS, err);
  if (!code && peak.gflops > bench->peak.gflops)
    bench->peak = peak;
  return code;
}

static int measure_shape(struct bench *bench, uint32_t index, struct plm_error *err) {
  const struct request *request = bench->request;
  char shape[PLM_SHAPE_TEXT], text[160];
  const struct plm_measure_options measure = {
      .corpus = bench->corpus,
      .shape = request->shapes[index],
      .optimizer = {.beta1 = 0.9f, .beta2 = 0.98f, .epsilon = 1e-8f, .weight_decay = 0.01f, .clip = 1},
      .batch = {.seed = (uint64_t)request->seed,
                .length_max = request->length_max,
                .batch_tokens = request->batch_tokens,
                .pool = 1024,
                .mask_rate = 0.15,
                .mask_token = 0.8,
                .mask_random = 0.1},
      .micro_tokens = (uint32_t)request->micro_tokens,
      .lr = 4e-4,
      .init_std = 0.02,
      .steps = (uint32_t)request->steps,
      .seconds = request->seconds};
  plm_shape_text(shape, request->shapes[index]);
  snprintf(text, sizeof text, "measuring %s (%u of %u)", shape, index + 1, request->shape_count);
  plm_log_progress(text, 0);
  return plm_measure_training(&bench->measurements[index], bench->plugin, bench->device, &measure, err);
}

static int measure_all(struct bench *bench, struct plm_error *err) {
  const struct request *request = bench->request;
  int code = open_backend(bench, err);
  if (!code && request->fasta)
    code = plm_corpus_from_fasta(&bench->corpus, request->fasta, FASTA_SEQUENCES, err);
  else if (!code)
    code = plm_corpus_open(&bench->corpus, request->corpus, err);
  if (!code)
    code = measure_peak(bench, err);
  for (uint32_t i = 0; i < request->shape_count && !code; i++)
    code = measure_shape(bench, i, err);
  if (!code)
    code = measure_peak(bench, err);
  plm_log_progress(NULL, 1);
  return code;
}

static double gflops_of(const struct plm_measurement *measurement) {
  return measurement->flops / measurement->seconds / 1e9;
}

/* Largest less smallest sample over their mean rate. */
static double spread_of(const struct plm_measurement *measurement) {
  double low = measurement->samples[0], high = low;
  for (uint32_t i = 1; i < measurement->count; i++) {
    low = measurement->samples[i] < low ? measurement->samples[i] : low;
    high = measurement->samples[i] > high ? measurement->samples[i] : high;
  }
  return (high - low) * measurement->seconds / measurement->tokens;
}

static json_t *samples_json(const struct plm_measurement *measurement) {
  json_t *array = json_array();
  for (uint32_t i = 0; i < measurement->count && array; i++)
    if (json_array_append_new(array, json_real(measurement->samples[i]))) {
      json_decref(array);
      array = NULL;
    }
  return array;
}

/* A driver's text, which may be in any encoding. */
static json_t *foreign_json(const char *text) {
  char clean[128]; /* no field is longer */
  size_t length = strnlen(text, sizeof clean - 1);
  json_t *json = json_stringn(text, length);
  for (size_t i = 0; i < length && !json; i++)
    clean[i] = text[i] < ' ' || text[i] > '~' ? '?' : text[i];
  return json ? json : json_stringn(clean, length);
}

static uint32_t threads_of(const struct bench *bench) {
  return bench->plugin->host.threads(bench->plugin->host.context);
}

static json_t *result_json(const struct bench *bench, uint32_t index) {
  const struct plm_measurement *m = &bench->measurements[index];
  const struct plm_device_info *info = &bench->info;
  struct plm_shape shape = bench->request->shapes[index];
  json_t *peak = json_null(), *mfu = json_null();
  if (bench->peak.gflops > 0) {
    peak = json_real(bench->peak.gflops);
    mfu = json_real(gflops_of(m) / bench->peak.gflops);
  }
  json_t *head =
      json_pack("{s:s, s:o, s:i, s:i, s:i, s:I, s:s, s:i, s:f, s:f, s:o, s:o, s:o}", "backend",
                bench->plugin->card->name, "device", foreign_json(info->name), "layers", (int)shape.layers, "width",
                (int)shape.width, "heads", (int)shape.heads, "batch_tokens", (json_int_t)bench->request->batch_tokens,
                "precision", "fp32", "threads", (int)threads_of(bench), "tokens_per_s", m->tokens / m->seconds,
                "useful_gflops", gflops_of(m), "gemm_peak_gflops", peak, "mfu", mfu, "samples", samples_json(m));
  json_t *tail = json_pack(
      "{s:f, s:I, s:I, s:s, s:I, s:I, s:f, s:f, s:f, s:f, s:f, s:o, s:o, s:o, s:o, s:i}", "spread", spread_of(m),
      "params", (json_int_t)plm_shape_params_total(shape), "micro_tokens", (json_int_t)m->micro_tokens, "lowered_ops",
      m->lowered_text, "memory_bytes", (json_int_t)m->memory_bytes, "cache_bytes", (json_int_t)info->cache_bytes,
      "tokens", m->tokens, "seconds", m->seconds, "batch_seconds", m->batch_seconds, "loss_first", m->loss_first,
      "loss_last", m->loss_last, "device_id", foreign_json(info->id), "driver", foreign_json(info->driver),
      "driver_version", foreign_json(info->driver_version), "backend_version",
      foreign_json(bench->plugin->card->version), "length_max", (int)bench->request->length_max);
  if (head && tail && json_object_update(head, tail)) {
    json_decref(head);
    head = NULL;
  }
  if (!tail) {
    json_decref(head);
    head = NULL;
  }
  json_decref(tail);
  return head;
}

static int print_json(const struct bench *bench, struct plm_error *err) {
  json_t *results = json_array();
  for (uint32_t i = 0; i < bench->request->shape_count && results; i++)
    if (json_array_append_new(results, result_json(bench, i))) {
      json_decref(results);
      results = NULL;
    }
  return plm_cli_print_json(results ? json_pack("{s:s, s:o}", "schema", "plmscale.bench/1", "results", results) : NULL,
                            err);
}

static void print_row(const struct bench *bench, uint32_t index) {
  const struct plm_measurement *m = &bench->measurements[index];
  char shape[PLM_SHAPE_TEXT], params[24], memory[32], mfu[24] = "-";
  plm_shape_text(shape, bench->request->shapes[index]);
  plm_number_short(params, sizeof params, (double)plm_shape_params_total(bench->request->shapes[index]));
  plm_number_bytes(memory, sizeof memory, m->memory_bytes);
  if (bench->peak.gflops > 0)
    snprintf(mfu, sizeof mfu, "%.1f %%", 100 * gflops_of(m) / bench->peak.gflops);
  printf("| %-12s | %10s | %10.0f | %6.1f %% | %14.2f | %7s | %11u | %10s |\n", shape, params, m->tokens / m->seconds,
         100 * spread_of(m), gflops_of(m), mfu, m->micro_tokens, memory);
}

static void print_table(const struct bench *bench) {
  const struct request *request = bench->request;
  printf("%s %s on %s, %u threads, fp32, %lld tokens per step, sequences up to %lld tokens\n\n",
         bench->plugin->card->name, bench->plugin->card->version, bench->info.name, threads_of(bench),
         (long long)request->batch_tokens, (long long)request->length_max);
  puts("| shape        | parameters |   tokens/s |   spread | useful GFLOP/s |     MFU | micro-batch |     memory |\n"
       "|--------------|-----------:|-----------:|---------:|---------------:|--------:|------------:|-----------:|");
  for (uint32_t i = 0; i < request->shape_count; i++)
    print_row(bench, i);
  if (bench->peak.gflops > 0)
    printf("\nBest matrix product of this backend in this process: %.1f GFLOP/s (%ux%u by %ux%u).\n",
           bench->peak.gflops, bench->peak.rows, bench->peak.in, bench->peak.in, bench->peak.out);
  if (bench->measurements[0].lowered)
    printf("Fused ops that the backend declines, run as required ones: %s.\n", bench->measurements[0].lowered_text);
}

int plm_cli_bench(int argc, char **argv, struct plm_error *err) {
  struct request request = {.batch_tokens = 8192, .length_max = 1024, .seed = 1};
  struct bench *bench = NULL;
  int code = plm_cli_parse(&argp, argc, argv, &request, err);
  if (!code)
    code = check_request(&request, err);
  if (code)
    return code;
  bench = plm_memory_zeroed(1, sizeof *bench);
  if (!bench)
    return plm_error_memory(err, "benchmark");
  bench->request = &request;
  code = measure_all(bench, err);
  if (!code && request.json)
    code = print_json(bench, err);
  else if (!code)
    print_table(bench);
  if (!code && request.layer_count) {
    if (!request.json)
      putchar('\n');
    code = plm_layers_finish(bench->plugin, request.json ? stderr : stdout, err);
  }
  for (uint32_t i = 0; i < SHAPE_MAX; i++)
    plm_measurement_fini(&bench->measurements[i]);
  plm_corpus_close(bench->corpus);
  plm_plugin_destroy(bench->plugin);
  free(bench);
  return code;
}
