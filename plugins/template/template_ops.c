/* The table of ops: what is supported, and how it is run. */
#include "template_ops.h"

struct kind {
  int (*run)(const struct plm_op *op, struct plm_error *err); /* NULL: not written yet */
  uint64_t (*workspace)(const struct plm_op *op);             /* NULL: needs none */
};

static const struct kind kinds[PLM_OP_COUNT] = {
    [PLM_OP_FILL] = {run_fill, NULL},
    [PLM_OP_BIAS] = {run_bias, NULL},
    [PLM_OP_ADD] = {run_add, NULL},
};

/* The optional flags taken, by op: none. The host then asks for the same with required ops. */
static const uint32_t flags_taken[PLM_OP_COUNT] = {0};

static int judge(const struct plm_op *op, struct plm_verdict *out, struct plm_error *err) {
  const int code = plm_rules_judge(out, op, flags_taken, err);
  if (code || out->status != PLM_VERDICT_SUPPORTED)
    return code;
  if (!kinds[op->kind].run)
    plm_rules_refuse(out, PLM_REASON_UNKNOWN_OP, "%s is not written yet", plm_op_name(op->kind));
  else if (kinds[op->kind].workspace)
    out->workspace_bytes = kinds[op->kind].workspace(op);
  return PLM_OK;
}

int ops_query(struct plm_device *device, const struct plm_op *op, struct plm_verdict *out, struct plm_error *err) {
  struct plm_verdict verdict;
  const int code = judge(op, &verdict, err);
  (void)device;
  if (code)
    return code;
  plm_table_copy(out, out->struct_size, &verdict);
  return PLM_OK;
}

static uint64_t buffer_bytes(const struct plm_buffer *buffer) { return buffer->bytes; }

/* Nothing runs that op_query would refuse, and nothing that could touch memory outside its buffers. */
int ops_run(struct plm_queue *queue, const struct plm_op *op, struct plm_error *err) {
  struct plm_verdict verdict;
  int code = judge(op, &verdict, err);
  (void)queue;
  if (code)
    return code;
  if (verdict.status != PLM_VERDICT_SUPPORTED)
    return plm_rules_error(err, PLM_E_UNSUPPORTED, op, "%s", verdict.text);
  code = plm_rules_bind(op, verdict.workspace_bytes, buffer_bytes, err);
  return code ? code : kinds[op->kind].run(op, err);
}

int check_index(const struct plm_op *op, const char *name, const int32_t *values, uint64_t count, uint64_t limit,
                struct plm_error *err) {
  for (uint64_t i = 0; i < count; i++)
    if (values[i] < 0 || (uint64_t)values[i] >= limit)
      return plm_rules_error(err, PLM_E_INVALID, op, "%s[%" PRIu64 "] = %" PRId32 " is not in 0..%" PRIu64, name, i,
                             values[i], limit - 1);
  return PLM_OK;
}
