/* The opencl backend: its card, its options, and which file runs which op. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ocl_choices.h"
#include "opencl.h"
#include "plmscale/op_rules.h"

static const struct plm_host *the_host;

/* ---------------------------------------------------------------- ops */

struct family {
  ocl_run_fn run; /* NULL: the op is not supported */
  ocl_workspace_fn workspace;
  ocl_judge_fn judge;
};

static const struct family families[PLM_OP_COUNT] = {
    [PLM_OP_FILL] = {ocl_fill_run, NULL, NULL},
    [PLM_OP_EMBED] = {ocl_embed_run, NULL, NULL},
    [PLM_OP_EMBED_GRAD] = {ocl_embed_grad_run, ocl_embed_grad_workspace, NULL},
    [PLM_OP_LAYER_NORM] = {ocl_layer_norm_run, NULL, NULL},
    [PLM_OP_LAYER_NORM_GRAD] = {ocl_layer_norm_grad_run, ocl_layer_norm_grad_workspace, NULL},
    [PLM_OP_LINEAR] = {ocl_linear_run, ocl_linear_workspace, ocl_linear_judge},
    [PLM_OP_LINEAR_GRAD_INPUT] = {ocl_linear_run, ocl_linear_workspace, ocl_linear_judge},
    [PLM_OP_LINEAR_GRAD_WEIGHT] = {ocl_linear_run, ocl_linear_workspace, ocl_linear_judge},
    [PLM_OP_BIAS] = {ocl_bias_run, NULL, NULL},
    [PLM_OP_BIAS_GRAD] = {ocl_bias_grad_run, ocl_bias_grad_workspace, NULL},
    [PLM_OP_GELU] = {ocl_gelu_run, NULL, NULL},
    [PLM_OP_GELU_GRAD] = {ocl_gelu_grad_run, NULL, NULL},
    [PLM_OP_ADD] = {ocl_add_run, NULL, NULL},
    [PLM_OP_ROTARY] = {ocl_rotary_run, NULL, NULL},
    [PLM_OP_ATTENTION] = {ocl_attention_run, ocl_attention_workspace, ocl_attention_judge},
    [PLM_OP_ATTENTION_GRAD] = {ocl_attention_run, ocl_attention_workspace, ocl_attention_judge},
    [PLM_OP_GATHER_ROWS] = {ocl_gather_rows_run, NULL, NULL},
    [PLM_OP_SCATTER_ROWS] = {ocl_scatter_rows_run, NULL, NULL},
    [PLM_OP_SOFTMAX_LOSS] = {ocl_softmax_loss_run, NULL, NULL},
    [PLM_OP_REDUCE_SUM] = {ocl_reduce_sum_run, NULL, NULL},
    [PLM_OP_GRAD_NORM] = {ocl_grad_norm_run, ocl_grad_norm_workspace, NULL},
    [PLM_OP_ADAMW] = {ocl_adamw_run, NULL, NULL},
    [PLM_OP_RECORD] = {ocl_record_run, NULL, NULL},
};
_Static_assert(PLM_OP_COUNT == 24, "every op has its family");

/* Optional flags that are taken; the rules know the others. */
static const uint32_t taken[PLM_OP_COUNT] = {
    [PLM_OP_LINEAR] = PLM_FLAG_BIAS | PLM_FLAG_GELU | PLM_FLAG_RESIDUAL,
    [PLM_OP_LINEAR_GRAD_INPUT] = PLM_FLAG_GELU,
    [PLM_OP_LINEAR_GRAD_WEIGHT] = PLM_FLAG_BIAS,
    [PLM_OP_ATTENTION] = PLM_FLAG_CAUSAL | PLM_FLAG_ROTARY,
    [PLM_OP_ATTENTION_GRAD] = PLM_FLAG_CAUSAL | PLM_FLAG_ROTARY,
};

static uint64_t workspace_bytes(const struct plm_device *device, const struct plm_op *op) {
  const struct family *family = &families[op->kind];
  return family->workspace ? family->workspace(device, op) : 0;
}

static int judge(struct plm_verdict *out, const struct plm_device *device, const struct plm_op *op,
                 struct plm_error *err) {
  const int code = plm_rules_judge(out, op, taken, err);
  if (code || out->status != PLM_VERDICT_SUPPORTED)
    return code;
  if (families[op->kind].judge)
    families[op->kind].judge(out, device, op);
  return PLM_OK;
}

static int op_query(struct plm_device *device, const struct plm_op *op, struct plm_verdict *out,
                    struct plm_error *err) {
  struct plm_verdict verdict;
  const int code = judge(&verdict, device, op, err);
  if (code)
    return code;
  if (verdict.status == PLM_VERDICT_SUPPORTED)
    verdict.workspace_bytes = workspace_bytes(device, op);
  plm_table_copy(out, out->struct_size, &verdict);
  return PLM_OK;
}

static int op_run(struct plm_queue *queue, const struct plm_op *op, struct plm_error *err) {
  struct plm_verdict verdict;
  int code = judge(&verdict, queue->device, op, err);
  if (!code && verdict.status != PLM_VERDICT_SUPPORTED)
    code = plm_rules_error(err, PLM_E_UNSUPPORTED, op, "%s", verdict.text);
  if (!code)
    code = plm_rules_bind(op, workspace_bytes(queue->device, op), ocl_buffer_bytes, err);
  return code ? code : families[op->kind].run(queue, op, err);
}

/* ---------------------------------------------------------------- devices */

static int device_count(uint32_t *out, struct plm_error *err) {
  const struct ocl_found *devices;
  return ocl_list(the_host, &devices, out, err);
}

static int device_info(uint32_t index, struct plm_device_info *out, struct plm_error *err) {
  const struct ocl_found *devices;
  uint32_t count;
  const int code = ocl_list(the_host, &devices, &count, err);
  if (code)
    return code;
  if (index >= count)
    return plm_rules_error(err, PLM_E_INVALID, NULL, "device %" PRIu32 ": there are %" PRIu32 " devices", index, count);
  plm_table_copy(out, out->struct_size, &devices[index].info);
  return PLM_OK;
}

static int device_open(uint32_t index, struct plm_device **out, struct plm_error *err) {
  return ocl_device_open(the_host, index, out, err);
}

static const void *extension(const char *name, uint32_t version) {
  return !strcmp(name, PLM_KERNELS_EXTENSION) && version == PLM_KERNELS_VERSION ? &ocl_kernels_extension : NULL;
}

/* ---------------------------------------------------------------- card */

static const struct plm_backend table = {
    .struct_size = sizeof table,
    .device_count = device_count,
    .device_info = device_info,
    .device_open = device_open,
    .device_close = ocl_device_close,
    .buffer_create = ocl_buffer_create,
    .buffer_destroy = ocl_buffer_destroy,
    .queue_create = ocl_queue_create,
    .queue_destroy = ocl_queue_destroy,
    .queue_finish = ocl_queue_finish,
    .buffer_write = ocl_buffer_write,
    .buffer_read = ocl_buffer_read,
    .op_query = op_query,
    .op_run = op_run,
    .memory_info = ocl_memory_info,
    .extension = extension,
};

static const struct plm_option options[] = {
    {.struct_size = sizeof(struct plm_option),
     .name = "policy",
     .default_value = "auto",
     .type = PLM_OPTION_TEXT,
     .help = "how kernels cut their work: cpu (vectors, no work-groups), gpu (work-groups), or auto by device"},
    {.struct_size = sizeof(struct plm_option),
     .name = "gemm",
     .default_value = "auto",
     .type = PLM_OPTION_TEXT,
     .help = "who multiplies matrices: own kernels, clblast, clblast_tuned, or auto by profile"},
    {.struct_size = sizeof(struct plm_option),
     .name = "kernel_profile",
     .default_value = "auto",
     .type = PLM_OPTION_TEXT,
     .help = "a file made by `plmscale tune`, none, or auto: the user's own or the one that comes with the plugin"},
    {.struct_size = sizeof(struct plm_option),
     .name = "cache",
     .default_value = "yes",
     .type = PLM_OPTION_BOOLEAN,
     .help = "keep compiled kernels on disk"},
    {.struct_size = sizeof(struct plm_option),
     .name = "cache_path",
     .default_value = "",
     .type = PLM_OPTION_TEXT,
     .help = "where to keep them, an absolute path; empty: plmscale/opencl in XDG_CACHE_HOME or ~/.cache"},
    {.struct_size = sizeof(struct plm_option),
     .name = "timeout_seconds",
     .default_value = "300",
     .type = PLM_OPTION_REAL,
     .minimum = 0,
     .maximum = 1e6,
     .help = "seconds without any progress of the device after which a run gives up; 0: never"},
    {.struct_size = sizeof(struct plm_option),
     .name = "launch_seconds",
     .default_value = "0.5",
     .type = PLM_OPTION_REAL,
     .minimum = 0,
     .maximum = 1e6,
     .help = "kernels that might run longer are cut into several launches; 0: never"},
    {.struct_size = sizeof(struct plm_option),
     .name = "build_options",
     .default_value = "",
     .type = PLM_OPTION_TEXT,
     .help = "more options for the OpenCL compiler"},
    {.struct_size = sizeof(struct plm_option),
     .name = "profile",
     .default_value = "no",
     .type = PLM_OPTION_BOOLEAN,
     .help = "say each kernel's time on the device in the log when a queue ends"},
};

static int start(const struct plm_host *host, struct plm_backend *out, struct plm_error *err) {
  (void)err;
  the_host = host;
  return plm_backend_publish(out, &table);
}

const struct plm_plugin_card *PLM_PLUGIN_ENTRY(void) {
  static const struct plm_plugin_card card = {PLM_CARD_BUILD,
                                              .name = "opencl",
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
