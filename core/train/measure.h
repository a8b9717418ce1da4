/* Speed of a backend on a device: training steps as a cell would run them, and the matrix-product peak to compare them
 * with. */
#ifndef PLM_TRAIN_MEASURE_H
#define PLM_TRAIN_MEASURE_H

#include <stdint.h>

#include "base/error.h"
#include "data/batch.h"
#include "runtime/plugin.h"
#include "runtime/session.h"

#define PLM_MEASURE_WARMUP 3 /* steps before the first measured one */

struct plm_measure_options {
  const struct plm_corpus *corpus; /* borrowed; its training split is read */
  struct plm_shape shape;
  struct plm_optimizer optimizer;
  struct plm_batch_options batch; /* length_max and batch_tokens are the session's too */
  uint32_t micro_tokens;          /* 0: chosen by the session */
  double lr;                      /* constant */
  double init_std;
  /* Measuring ends after so many steps or seconds, whichever comes first; 0: no such limit (not both 0). One step is
   * the least. With a limit in seconds the warm-up too ends after so long, and has one step at least. */
  uint32_t steps;
  double seconds;
};

/* What was measured, warm-up left out. Owned by the caller; plm_measurement_fini takes a zeroed one. */
struct plm_measurement {
  double *samples; /* [count] tokens/s of each step */
  uint32_t count;
  double tokens;                /* without padding: there is none */
  double seconds;               /* in steps: uploads, all ops, and waiting for them */
  double batch_seconds;         /* packing and masking on the host, not part of seconds */
  double flops;                 /* matrix products of the forward and backward programs at the batches' own extents */
  double loss_first, loss_last; /* over all selected positions; first: before any update */
  uint64_t memory_bytes;        /* all buffers on the device, workspace included */
  uint32_t micro_tokens, lowered;
  char lowered_text[256];
};

/* Trains from initial weights and measures every step. */
int plm_measure_training(struct plm_measurement *out, const struct plm_plugin *plugin, uint32_t device,
                         const struct plm_measure_options *options, struct plm_error *err);
void plm_measurement_fini(struct plm_measurement *measurement);

/* The fastest plain LINEAR op found: its rate and extents. */
struct plm_gemm_peak {
  double gflops;
  uint32_t rows, in, out;
};

/*
 * Runs LINEAR without an epilogue over products from 256^3 to 4096^3 (those that would take longer than a tenth of a
 * second each are left out), for about seconds in total, and keeps the best rate of any repeat.
 */
int plm_measure_gemm_peak(struct plm_gemm_peak *out, const struct plm_plugin *plugin, uint32_t device, double seconds,
                          struct plm_error *err);

#endif
