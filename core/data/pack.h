/*
 * A look-ahead pool of sequences and the packing of batches from it; internal to core/data.
 *
 * A batch takes the oldest sequences of the pool while they fit, so its content follows the random order; when the
 * oldest does not fit the rest, the longest that fits goes in (best fit; the older of two equal ones), again and again
 * until none does. The oldest always opens a batch, so no sequence waits for more batches than the pool has members.
 */
#ifndef PLM_DATA_PACK_H
#define PLM_DATA_PACK_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct plm_pack_item {
  uint64_t draw;   /* number of the draw that brought it: its identity and its age */
  uint32_t length; /* tokens with <cls> and <eos> */
  uint32_t reserved;
};

/* Items first .. first+count-1 in order of age. Init by plm_pack_init, release by plm_pack_fini. */
struct plm_pack {
  struct plm_pack_item *items;
  size_t first, count, limit; /* limit: most members at once; items has room for twice as many */
};
int plm_pack_init(struct plm_pack *pack, size_t limit, struct plm_error *err);
void plm_pack_fini(struct plm_pack *pack);

/* Adds the youngest. The pool must have room (count < limit). */
void plm_pack_push(struct plm_pack *pack, struct plm_pack_item item);

/* Takes the next for a batch with room tokens left: 1 and *out, or 0 when none fits. */
int plm_pack_take(struct plm_pack *pack, uint32_t room, struct plm_pack_item *out);

#endif
