#include "reference.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

__attribute__((format(printf, 4, 0))) static void error_fill(struct plm_error *err, int code, const struct plm_op *op,
                                                             const char *format, va_list args) {
  int used = 0;
  err->code = code;
  err->native_code = 0;
  err->op_kind = op ? op->kind : 0;
  if (op)
    used = snprintf(err->text, sizeof err->text, "%s (op %" PRIu32 "): ", plm_op_name(op->kind), op->index);
  vsnprintf(err->text + used, sizeof err->text - (size_t)used, format, args);
}

int ref_fail(struct plm_error *err, int code, const struct plm_op *op, const char *format, ...) {
  va_list args;
  va_start(args, format);
  error_fill(err, code, op, format, args);
  va_end(args);
  return code;
}

int ref_invalid(struct ref_call *call, const char *format, ...) {
  if (call->code == PLM_OK) {
    va_list args;
    va_start(args, format);
    error_fill(call->err, PLM_E_INVALID, call->op, format, args);
    va_end(args);
    call->code = PLM_E_INVALID;
  }
  return call->code;
}

static const char *type_name(uint32_t type) {
  return type == PLM_TYPE_F32 ? "f32" : type == PLM_TYPE_I32 ? "i32" : "unknown";
}

/* Whether the view lies in its buffer and has room for need bytes of the type. */
static int view_is_legal(struct ref_call *call, const struct plm_view *view, const char *name, uint32_t type,
                         uint64_t align, uint64_t need) {
  if (!view->buffer)
    return ref_invalid(call, "view \"%s\": no buffer is bound, %" PRIu64 " bytes are needed", name, need);
  if (type && view->type != type)
    return ref_invalid(call, "view \"%s\": type %" PRIu32 " (%s), must be %s", name, view->type, type_name(view->type),
                       type_name(type));
  if (view->offset % align != 0)
    return ref_invalid(call, "view \"%s\": offset %" PRIu64 " is not a multiple of %" PRIu64, name, view->offset,
                       align);
  if (view->bytes < need)
    return ref_invalid(call, "view \"%s\": %" PRIu64 " bytes, %" PRIu64 " are needed", name, view->bytes, need);
  if (view->offset > view->buffer->bytes || view->bytes > view->buffer->bytes - view->offset)
    return ref_invalid(call, "view \"%s\": offset %" PRIu64 " + %" PRIu64 " bytes reach past the buffer's %" PRIu64,
                       name, view->offset, view->bytes, view->buffer->bytes);
  return PLM_OK;
}

/* Checks the view and notes it for ref_check. type 0: any. */
static void *operand(struct ref_call *call, const struct plm_view *view, const char *name, uint32_t type,
                     uint32_t access, uint64_t align, uint64_t rows, uint64_t row_bytes) {
  static double nothing[8];
  uint64_t need;
  if (call->code)
    return nothing;
  if (__builtin_mul_overflow(rows, row_bytes, &need)) {
    ref_invalid(call, "view \"%s\": %" PRIu64 " rows of %" PRIu64 " bytes overflow", name, rows, row_bytes);
    return nothing;
  }
  if (need == 0 || view_is_legal(call, view, name, type, align, need))
    return nothing;
  unsigned char *begin = view->buffer->data + view->offset;
  call->operands[call->operand_count++] = (struct ref_operand){name, begin, begin + need, access};
  return begin;
}

/* width elements of 4 bytes: width is a product of at most three 32-bit extents, bounded by the shape checks of
 * op_query. */
float *ref_f32(struct ref_call *call, const struct plm_view *view, const char *name, uint32_t access, uint64_t rows,
               uint64_t width) {
  return operand(call, view, name, PLM_TYPE_F32, access, 64, rows, 4 * width);
}

int32_t *ref_i32(struct ref_call *call, const struct plm_view *view, const char *name, uint32_t access, uint64_t rows,
                 uint64_t width) {
  return operand(call, view, name, PLM_TYPE_I32, access, 64, rows, 4 * width);
}

float *ref_f32_at(struct ref_call *call, const struct plm_view *view, const char *name, uint32_t access, uint64_t align,
                  uint64_t count) {
  return operand(call, view, name, PLM_TYPE_F32, access, align, count, 4);
}

int32_t *ref_i32_at(struct ref_call *call, const struct plm_view *view, const char *name, uint32_t access,
                    uint64_t align, uint64_t count) {
  return operand(call, view, name, PLM_TYPE_I32, access, align, count, 4);
}

double *ref_workspace(struct ref_call *call, uint64_t count) {
  return operand(call, &call->op->workspace, "workspace", 0, REF_WRITE, 64, count, sizeof(double));
}

int ref_check(struct ref_call *call) {
  for (uint32_t i = 0; i < call->operand_count; i++)
    for (uint32_t j = 0; j < i; j++) {
      const struct ref_operand *a = &call->operands[i], *b = &call->operands[j];
      int apart = a->end <= b->begin || b->end <= a->begin;
      int in_place = (a->access & b->access & REF_SHARED) && a->begin == b->begin && a->end == b->end;
      if (!apart && !in_place && ((a->access | b->access) & REF_WRITE))
        return ref_invalid(call, "views \"%s\" and \"%s\" overlap", b->name, a->name);
    }
  return call->code;
}

int ref_check_index(struct ref_call *call, const char *name, const int32_t *values, uint32_t count, uint64_t limit,
                    int ascending) {
  for (uint32_t i = 0; i < count && call->code == PLM_OK; i++) {
    if (values[i] < 0 || (uint64_t)values[i] >= limit)
      ref_invalid(call, "%s[%" PRIu32 "] = %" PRId32 " is not in 0..%" PRId64, name, i, values[i], (int64_t)limit - 1);
    else if (ascending && i > 0 && values[i] <= values[i - 1])
      ref_invalid(call, "%s[%" PRIu32 "] = %" PRId32 " does not ascend from %" PRId32, name, i, values[i],
                  values[i - 1]);
  }
  return call->code;
}
