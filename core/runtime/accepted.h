/* The ops that a backend has accepted in op_query, for the validate layer. */
#ifndef PLM_RUNTIME_ACCEPTED_H
#define PLM_RUNTIME_ACCEPTED_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct plm_accepted_op;

/* Init by zeroing. */
struct plm_accepted {
  struct plm_accepted_op *items;
  size_t count, capacity;
};
void plm_accepted_fini(struct plm_accepted *accepted);

int plm_accepted_add(struct plm_accepted *accepted, const struct plm_op *op, uint64_t workspace_bytes,
                     struct plm_error *err);

/*
 * *workspace_bytes: what op_query asked for, the least of the answers that hold for this op. PLM_E_INVALID: no such op was
 * accepted with extents as large, or its workspace is smaller than was asked for.
 */
int plm_accepted_check(uint64_t *workspace_bytes, const struct plm_accepted *accepted, const struct plm_op *op,
                       struct plm_error *err);

#endif
