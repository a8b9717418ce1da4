#include "train/provenance.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/memory.h"
#include "check/self_check.h"
#include "model/distinct.h"
#include "plmscale/kernels.h"

static int set_text(char **field, const char *text, struct plm_error *err) {
  free(*field);
  *field = strdup(text);
  return *field ? 0 : plm_error_memory(err, "noting the provenance of a run");
}

/* Adds "text" or "separator text" to a field. */
static int add_text(char **field, const char *separator, const char *text, struct plm_error *err) {
  char *longer = plm_memory_format("%s%s%s", *field, **field ? separator : "", text);
  int code = longer ? set_text(field, longer, err) : plm_error_memory(err, "noting the provenance of a run");
  free(longer);
  return code;
}

/* ------------------------------------------------------------ kernels */

/* The shape of attention without the number of sequences, which differs from batch to batch: tokens x heads x head size. */
static void attention_shape(char out[PLM_OP_TEXT], const struct plm_op *op) {
  const int grad = op->kind == PLM_OP_ATTENTION_GRAD;
  snprintf(out, PLM_OP_TEXT, "%ux%ux%u", plm_op_extents_now(op).tokens,
           grad ? op->u.attention_grad.heads : op->u.attention.heads,
           grad ? op->u.attention_grad.head_size : op->u.attention.head_size);
}

static int note_kernel(struct plm_run *run, const struct plm_session *session,
                       const struct plm_kernels_extension *kernels, const struct plm_op *op, struct plm_error *err) {
  char name[PLM_KERNELS_NAME] = "", title[PLM_OP_TEXT], shape[PLM_OP_TEXT];
  uint32_t which;
  int code = kernels->chosen(session->device, op, &which, err);
  if (!code)
    code = kernels->name(session->device, op, which, name, err);
  if (code)
    return code;
  name[sizeof name - 1] = 0;
  plm_op_title(title, op);
  plm_op_shape(shape, op);
  if (op->kind == PLM_OP_ATTENTION || op->kind == PLM_OP_ATTENTION_GRAD)
    attention_shape(shape, op);
  char *text = plm_memory_format("%s %s: %s", title, shape, name);
  code = text ? add_text(&run->kernels, "; ", text, err) : plm_error_memory(err, "noting the kernels of a run");
  free(text);
  return code;
}

/* Which implementation runs each matrix op, where the backend has a choice. */
static int note_kernels(struct plm_run *run, const struct plm_session *session, uint32_t masked, struct plm_error *err) {
  const struct plm_kernels_extension *kernels =
      session->plugin->bare.extension(PLM_KERNELS_EXTENSION, PLM_KERNELS_VERSION);
  struct plm_distinct distinct = {0};
  int code = set_text(&run->kernels, "", err);
  if (!code)
    code = set_text(&run->kernels_source, "", err);
  if (code || !kernels)
    return code;
  const char *source = kernels->source(session->device);
  code = set_text(&run->kernels_source, source ? source : "", err);
  if (!code)
    code = plm_distinct_init(&distinct, &session->model, masked, err);
  for (uint32_t i = 0; i < distinct.count && !code; i++)
    code = note_kernel(run, session, kernels, &distinct.ops[i], err);
  plm_distinct_fini(&distinct);
  return code;
}

/* ------------------------------------------------------------ texts */

static int note_layers(struct plm_run *run, const struct plm_cell_options *options, struct plm_error *err) {
  int code = set_text(&run->backend_layers, "", err);
  for (size_t i = 0; i < options->layer_count && !code; i++)
    code = add_text(&run->backend_layers, ", ", options->layers[i], err);
  char *shadow = options->shadow ? plm_memory_format("shadow:%s", options->shadow) : NULL;
  if (!code && options->shadow)
    code = shadow ? add_text(&run->backend_layers, ", ", shadow, err)
                  : plm_error_memory(err, "noting the provenance of a run");
  free(shadow);
  return code;
}

/* The selected rows of a full micro-batch. */
static uint32_t usual_masked(const struct plm_session *session, const struct plm_study *study) {
  return (uint32_t)(study->config.data_mask_rate * session->micro_tokens) + 1;
}

int plm_provenance_note(struct plm_run *run, const struct plm_session *session, const struct plm_corpus *corpus,
                        const struct plm_study *study, const struct plm_cell_options *options, struct plm_error *err) {
  const struct plm_plugin *plugin = session->plugin;
  char sha256[PLM_SHA256_TEXT], host[256] = "", shape[PLM_SHAPE_TEXT];
  int code = plm_sha256_file(sha256, plugin->path, err);
  gethostname(host, sizeof host - 1);
  plm_shape_text(shape, session->model.layout.shape);
  if (code || (code = set_text(&run->shape, shape, err)) ||
      (code = set_text(&run->corpus_digest, corpus->digest, err)) || (code = set_text(&run->precision, "f32", err)) ||
      (code = set_text(&run->backend, plugin->card->name, err)) ||
      (code = set_text(&run->backend_version, plugin->card->version, err)) ||
      (code = set_text(&run->backend_path, plugin->path, err)) ||
      (code = set_text(&run->backend_sha256, sha256, err)) ||
      (code = set_text(&run->device_id, session->info.id, err)) ||
      (code = set_text(&run->device_name, session->info.name, err)) ||
      (code = set_text(&run->driver, session->info.driver, err)) ||
      (code = set_text(&run->driver_version, session->info.driver_version, err)) ||
      (code = set_text(&run->host_name, host, err)) ||
      (code = set_text(&run->lowered_ops, session->model.lowered_text, err)) ||
      (code = note_layers(run, options, err)) || (code = note_kernels(run, session, usual_masked(session, study), err)))
    return code;
  run->figures.micro_tokens = session->micro_tokens;
  run->figures.deterministic = session->model.deterministic;
  run->figures.threads = options->threads;
  return 0;
}

/* ------------------------------------------------------------ the self-check */

static int check_against(struct plm_run *run, const struct plm_session *session, const char *reference_path,
                         const struct plm_self_check_options *options, struct plm_error *err) {
  const struct plm_side tested = {&session->plugin->bare, session->device, session->queue};
  struct plm_side reference = {0};
  struct plm_plugin *plugin = NULL;
  struct plm_self_check found;
  char text[160];
  int code = plm_plugin_load(&plugin, reference_path, NULL, 0, 1, err);
  if (!code)
    code = plm_side_open(&reference, &plugin->bare, 0, err);
  if (!code)
    code = plm_self_check_run(&found, &session->model, &tested, &reference, options, err);
  plm_side_close(&reference);
  plm_plugin_destroy(plugin);
  if (code)
    return code;
  snprintf(text, sizeof text, "passed %u cases, largest error %.3f of what is allowed", found.cases, found.worst);
  plm_log(PLM_LOG_INFO, "self-check of \"%s\": %s, %.1f s", options->device, text, found.seconds);
  return set_text(&run->self_check, text, err);
}

int plm_provenance_check(struct plm_run *run, const struct plm_session *session, const struct plm_study *study,
                         const struct plm_cell_options *options, const char *folder, struct plm_error *err) {
  char *reference = NULL, *case_path = NULL;
  if (!study->config.run_self_check)
    return set_text(&run->self_check, "off", err);
  int code = plm_plugin_resolve(&reference, "reference", err);
  if (code) {
    struct plm_error inner = *err;
    return plm_error_set(err, code, "self-check: %.700s; [run] self_check = no trains without it", inner.text);
  }
  if (!strcmp(reference, session->plugin->path)) {
    code = set_text(&run->self_check, "none: this is the reference", err);
  } else if (!(case_path = plm_file_join(folder, "self_check.h5"))) {
    code = plm_error_memory(err, "naming a case");
  } else {
    const struct plm_self_check_options check = {
        .device = options->backend, .case_path = case_path, .masked = usual_masked(session, study)};
    code = check_against(run, session, reference, &check, err);
  }
  free(case_path);
  free(reference);
  return code;
}
