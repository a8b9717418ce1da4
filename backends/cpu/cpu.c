/*
 * The embedded default backend: one device, all its threads in one OpenMP team. Ops run at once; a whole program
 * runs in one parallel region, so that threads meet at barriers and are not woken for every op.
 */
#include "cpu.h"

#include <inttypes.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "plmscale/op_rules.h"

#define GEMM_WIDTH 256 /* from here on oneDNN wins by a few percent, below it loses up to half (docs/numerics.md) */
#define WORK_MIN 4096  /* op_work below which one thread does an op alone */

static struct {
  const struct plm_host *host;
  const struct plm_cpu_kernels *kernels;
  struct plm_cpu_gemm gemm;
  char gemm_name[80];
} cpu;

/* ------------------------------------------------------------------ ops */

static uint64_t workspace_bytes(const struct plm_device *device, const struct plm_op *op) {
  return device->kernels->workspace(op, device->threads, &device->gemm);
}

static uint64_t buffer_bytes(const struct plm_buffer *buffer) { return buffer->bytes; }

static int check_op(const struct plm_device *device, const struct plm_op *op, struct plm_error *err) {
  struct plm_verdict verdict;
  int code = plm_rules_judge(&verdict, op, NULL, err);
  if (code)
    return code;
  if (verdict.status != PLM_VERDICT_SUPPORTED)
    return plm_rules_error(err, PLM_E_UNSUPPORTED, op, "%s", verdict.text);
  return plm_rules_bind(op, workspace_bytes(device, op), buffer_bytes, err);
}

static int op_query(struct plm_device *device, const struct plm_op *op, struct plm_verdict *out,
                    struct plm_error *err) {
  struct plm_verdict verdict;
  int code = plm_rules_judge(&verdict, op, NULL, err);
  if (code)
    return code;
  if (verdict.status == PLM_VERDICT_SUPPORTED)
    verdict.workspace_bytes = workspace_bytes(device, op);
  plm_table_copy(out, out->struct_size, &verdict);
  return PLM_OK;
}

/* About how many vector instructions the op takes: below a few thousand, waking a second thread costs more. */
static uint64_t op_work(const struct plm_op *op) {
  switch (op->kind) {
  case PLM_OP_LINEAR:
    return (uint64_t)op->u.linear.rows.count * op->u.linear.in * op->u.linear.out / 8;
  case PLM_OP_LINEAR_GRAD_INPUT:
    return (uint64_t)op->u.linear_grad_input.rows.count * op->u.linear_grad_input.in * op->u.linear_grad_input.out / 8;
  case PLM_OP_LINEAR_GRAD_WEIGHT:
    return (uint64_t)op->u.linear_grad_weight.rows.count * op->u.linear_grad_weight.in * op->u.linear_grad_weight.out /
           8;
  case PLM_OP_REDUCE_SUM:
  case PLM_OP_RECORD:
    return 0;
  default:
    break;
  }
  uint64_t bytes = 0, all = 0; /* of the largest operand, and of all */
  uint32_t operands;
  const struct plm_operand *operand = plm_rules_operands_of(op->kind, &operands);
  for (; operands > 0; operands--, operand++)
    if (plm_rules_has(op, operand)) {
      uint64_t size = plm_rules_bytes(op, operand);
      bytes = size > bytes ? size : bytes;
      all += size;
    }
  int attention = op->kind == PLM_OP_ATTENTION || op->kind == PLM_OP_ATTENTION_GRAD;
  return (op->kind == PLM_OP_ADAMW ? all : bytes) / 32 * (attention ? 32 : 1);
}

static int fault_error(const struct plm_cpu_fault *f, const struct plm_op *op, struct plm_error *err) {
  if (f->limit == PLM_CPU_DESCENDS)
    return plm_rules_error(err, PLM_E_INVALID, op, "%s[%" PRId64 "] = %" PRId64 " does not ascend", f->what, f->row,
                         f->value);
  if (f->limit == PLM_CPU_LIBRARY)
    return plm_rules_error(err, PLM_E_INTERNAL, op, "%s failed with status %" PRId64 " at row %" PRId64, f->what,
                         f->value, f->row);
  return plm_rules_error(err, PLM_E_INVALID, op, "%s[%" PRId64 "] = %" PRId64 " is not in 0..%" PRId64, f->what, f->row,
                       f->value, f->limit - 1);
}

/* Threads leave at the first op that found a fault: the fault carries its op, so that all leave at the same one. */
static int run_team(const struct plm_device *device, const struct plm_op *ops, uint32_t count, int threads,
                    uint32_t *failed, struct plm_error *err) {
  struct plm_cpu_fault fault = {0};
  struct plm_cpu_barrier barrier = {0};
#pragma omp parallel num_threads(threads) if (threads > 1)
  {
#pragma omp single
    barrier.threads = (uint32_t)omp_get_num_threads(); /* OpenMP may give fewer than asked */
    for (uint32_t i = 0; i < count; i++) {
      const struct plm_cpu_run run = {device->gemm, &barrier, &fault, i};
      device->kernels->run[ops[i].kind](&ops[i], &run);
      uint32_t stop = __atomic_load_n(&fault.step, __ATOMIC_ACQUIRE);
      if (stop && stop <= i + 1)
        break;
    }
  }
  if (!fault.step)
    return PLM_OK;
  *failed = fault.step - 1;
  return fault_error(&fault, &ops[*failed], err);
}

static int op_run(struct plm_queue *queue, const struct plm_op *op, struct plm_error *err) {
  const struct plm_device *device = queue->device;
  uint32_t failed;
  int code = check_op(device, op, err);
  if (code)
    return code;
  return run_team(device, op, 1, op_work(op) < WORK_MIN ? 1 : (int)device->threads, &failed, err);
}

static int program_run(struct plm_queue *queue, const struct plm_op *ops, uint32_t count, uint32_t *failed,
                       struct plm_error *err) {
  const struct plm_device *device = queue->device;
  uint64_t work = 0;
  uint32_t legal = 0;
  int code = PLM_OK, broken;
  while (legal < count && (code = check_op(device, &ops[legal], err)) == PLM_OK)
    work += op_work(&ops[legal++]);
  struct plm_error late = {.struct_size = sizeof late};
  broken = run_team(device, ops, legal, work < WORK_MIN ? 1 : (int)device->threads, failed, &late);
  if (broken) {
    plm_table_copy(err, err->struct_size, &late);
    return broken;
  }
  if (code)
    *failed = legal;
  return code;
}

/* ------------------------------------------------------------------ device */

static int device_count(uint32_t *out, struct plm_error *err) {
  (void)err;
  *out = 1;
  return PLM_OK;
}

static int check_index(uint32_t index, struct plm_error *err) {
  if (index == 0)
    return PLM_OK;
  return plm_rules_error(err, PLM_E_INVALID, NULL, "device %" PRIu32 ": there is only device 0", index);
}

static int device_info(uint32_t index, struct plm_device_info *out, struct plm_error *err) {
  struct plm_device_info info = {.struct_size = sizeof info};
  int code = check_index(index, err);
  if (code)
    return code;
  plm_cpu_describe(&info);
  snprintf(info.driver, sizeof info.driver, "plmscale cpu");
  snprintf(info.driver_version, sizeof info.driver_version, "%s, %s, GEMM %s, OpenMP %d", PLM_VERSION, cpu.kernels->isa,
           cpu.gemm_name, _OPENMP);
  plm_table_copy(out, out->struct_size, &info);
  return PLM_OK;
}

static void *allocate(uint64_t bytes) { return cpu.host->allocate(cpu.host->context, bytes); }
static void release(void *memory) { cpu.host->release(cpu.host->context, memory); }

static int no_memory(uint64_t bytes, const char *what, struct plm_error *err) {
  return plm_rules_error(err, PLM_E_NO_MEMORY, NULL, "%s: no host memory for %" PRIu64 " bytes", what, bytes);
}

static int device_open(uint32_t index, struct plm_device **out, struct plm_error *err) {
  int code = check_index(index, err);
  if (code)
    return code;
  struct plm_device *device = allocate(sizeof *device);
  if (!device)
    return no_memory(sizeof *device, "device", err);
  long asked = strtol(cpu.host->option(cpu.host->context, "threads"), NULL, 10);
  uint32_t threads = asked > 0 ? (uint32_t)asked : cpu.host->threads(cpu.host->context);
  *device = (struct plm_device){cpu.host, cpu.kernels, cpu.gemm, threads ? threads : 1, 0};
  *out = device;
  return PLM_OK;
}

static void device_close(struct plm_device *device) { release(device); }

static int memory_info(struct plm_device *device, uint64_t *used, uint64_t *free_bytes, struct plm_error *err) {
  long pages = sysconf(_SC_AVPHYS_PAGES), page = sysconf(_SC_PAGESIZE);
  if (pages < 0 || page < 0)
    return plm_rules_error(err, PLM_E_UNSUPPORTED, NULL, "memory_info: the system does not tell its free memory");
  *used = device->used;
  *free_bytes = (uint64_t)pages * (uint64_t)page;
  return PLM_OK;
}

/* ------------------------------------------------------------------ buffers and queues */

static int buffer_create(struct plm_device *device, uint64_t bytes, uint32_t kind, struct plm_buffer **out,
                         struct plm_error *err) {
  int code = plm_rules_new_buffer(bytes, SIZE_MAX / 2, kind, err);
  if (code)
    return code;
  struct plm_buffer *buffer = allocate(sizeof *buffer);
  if (!buffer)
    return no_memory(sizeof *buffer, "buffer", err);
  *buffer = (struct plm_buffer){device, allocate(bytes), bytes};
  if (!buffer->memory) {
    release(buffer);
    return no_memory(bytes, "buffer", err);
  }
  device->used += bytes;
  *out = buffer;
  return PLM_OK;
}

static void buffer_destroy(struct plm_buffer *buffer) {
  if (!buffer)
    return;
  buffer->device->used -= buffer->bytes;
  release(buffer->memory);
  release(buffer);
}

static int buffer_write(struct plm_queue *queue, struct plm_buffer *buffer, uint64_t offset, const void *data,
                        uint64_t bytes, struct plm_error *err) {
  (void)queue;
  int code = plm_rules_range(buffer->bytes, offset, bytes, "buffer_write", err);
  if (!code && bytes)
    memcpy(buffer->memory + offset, data, bytes);
  return code;
}

static int buffer_read(struct plm_queue *queue, struct plm_buffer *buffer, uint64_t offset, void *data, uint64_t bytes,
                       struct plm_error *err) {
  (void)queue;
  int code = plm_rules_range(buffer->bytes, offset, bytes, "buffer_read", err);
  if (!code && bytes)
    memcpy(data, buffer->memory + offset, bytes);
  return code;
}

static int queue_create(struct plm_device *device, struct plm_queue **out, struct plm_error *err) {
  struct plm_queue *queue = allocate(sizeof *queue);
  if (!queue)
    return no_memory(sizeof *queue, "queue", err);
  queue->device = device;
  *out = queue;
  return PLM_OK;
}

static void queue_destroy(struct plm_queue *queue) { release(queue); }

/* Ops have run, and failed, by the time op_run returns. */
static int queue_finish(struct plm_queue *queue, struct plm_error *err) {
  (void)queue;
  (void)err;
  return PLM_OK;
}

static const void *extension(const char *name, uint32_t version) {
  static struct plm_cpu_math_extension math = {.struct_size = sizeof math};
  if (version != 1 || strcmp(name, "x_cpu_math") != 0)
    return NULL;
  math.apply = cpu.kernels->math;
  return &math;
}

/* ------------------------------------------------------------------ card */

static const struct plm_backend table = {
    .struct_size = sizeof table,
    .device_count = device_count,
    .device_info = device_info,
    .device_open = device_open,
    .device_close = device_close,
    .buffer_create = buffer_create,
    .buffer_destroy = buffer_destroy,
    .queue_create = queue_create,
    .queue_destroy = queue_destroy,
    .queue_finish = queue_finish,
    .buffer_write = buffer_write,
    .buffer_read = buffer_read,
    .op_query = op_query,
    .op_run = op_run,
    .program_run = program_run,
    .memory_info = memory_info,
    .extension = extension,
};

static const struct plm_option options[] = {
    {.struct_size = sizeof(struct plm_option),
     .name = "threads",
     .default_value = "0",
     .type = PLM_OPTION_INTEGER,
     .minimum = 0,
     .maximum = 4096,
     .help = "threads of the device; 0: as many as the run allows"},
    {.struct_size = sizeof(struct plm_option),
     .name = "isa",
     .default_value = "auto",
     .type = PLM_OPTION_TEXT,
     .help = "instruction set of the kernels: auto, baseline, avx2 or avx512"},
    {.struct_size = sizeof(struct plm_option),
     .name = "gemm",
     .default_value = "auto",
     .type = PLM_OPTION_TEXT,
     .help = "matrix products: auto, library (the one of this build) or builtin"},
};

static int choose_gemm(const char *name, struct plm_error *err) {
  int any = strcmp(name, "auto") == 0, library = strcmp(name, "library") == 0;
  if (!any && !library && strcmp(name, "builtin") != 0)
    return plm_rules_error(err, PLM_E_INVALID, NULL, "option \"gemm\": \"%s\" is not auto, library or builtin", name);
  plm_cpu_sgemm_fn sgemm = library || (any && plm_cpu_library_is_fast()) ? plm_cpu_library() : NULL;
  if (library && !sgemm)
    return plm_rules_error(err, PLM_E_UNSUPPORTED, NULL, "option \"gemm\": this build has no GEMM library");
  cpu.gemm = (struct plm_cpu_gemm){sgemm, library ? 0 : GEMM_WIDTH, library};
  if (!sgemm)
    snprintf(cpu.gemm_name, sizeof cpu.gemm_name, "built in");
  else if (library)
    snprintf(cpu.gemm_name, sizeof cpu.gemm_name, "%s", plm_cpu_library_name());
  else
    snprintf(cpu.gemm_name, sizeof cpu.gemm_name, "built in, %s for gradients from width %d", plm_cpu_library_name(),
             GEMM_WIDTH);
  return PLM_OK;
}

static int start(const struct plm_host *host, struct plm_backend *out, struct plm_error *err) {
  const char *isa = host->option(host->context, "isa");
  cpu.host = host;
  cpu.kernels = plm_cpu_kernels_choose(isa);
  if (!cpu.kernels)
    return plm_rules_error(err, PLM_E_UNSUPPORTED, NULL,
                         "option \"isa\": \"%s\" is not auto, baseline, avx2 or avx512, or this processor lacks it",
                         isa);
  int code = choose_gemm(host->option(host->context, "gemm"), err);
  return code ? code : plm_backend_publish(out, &table);
}

const struct plm_plugin_card *PLM_PLUGIN_ENTRY(void) {
  static const struct plm_plugin_card card = {PLM_CARD_BUILD,
                                              .name = "cpu",
                                              .version = PLM_VERSION,
                                              .license = "",
                                              .vendor = "plmscale",
                                              .url = "",
                                              .compiler = PLM_COMPILER,
                                              .options = options,
                                              .option_count = sizeof options / sizeof *options,
                                              .option_stride = sizeof *options,
                                              .start = start};
  return &card;
}
