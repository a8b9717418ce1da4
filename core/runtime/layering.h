/* What a layer is to layer.c, and what layers share. Nobody outside core/runtime includes this. */
#ifndef PLM_RUNTIME_LAYERING_H
#define PLM_RUNTIME_LAYERING_H

#include <stdint.h>
#include <stdio.h>

#include "runtime/layer.h"

struct plm_layer {
  const char *name;
  /* Reads the part behind the colon (NULL: none) into the layer's state, which it resets. */
  int (*configure)(const char *argument, struct plm_error *err);
  /* table: what is below, to be kept; the layer's own slots are put into it. Not called unless configure succeeded. */
  int (*install)(struct plm_backend *table, struct plm_error *err);
  /* At the end; either may be NULL. */
  void (*report)(FILE *out);
  int (*verdict)(struct plm_error *err);
  void (*remove)(void);
};

extern const struct plm_layer plm_layer_trace, plm_layer_validate, plm_layer_time, plm_layer_fault;

/* program_run of a layer whose op_run is run: op by op, so that each passes through it. */
int plm_layer_loop(int (*run)(struct plm_queue *queue, const struct plm_op *op, struct plm_error *err),
                   struct plm_queue *queue, const struct plm_op *ops, uint32_t count, uint32_t *failed,
                   struct plm_error *err);

/* Seconds of a monotonic clock. */
double plm_layer_clock(void);

#endif
