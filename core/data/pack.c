#include "data/pack.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

int plm_pack_init(struct plm_pack *pack, size_t limit, struct plm_error *err) {
  *pack = (struct plm_pack){.limit = limit};
  pack->items = plm_memory_zeroed(limit, 2 * sizeof *pack->items);
  return pack->items == NULL ? plm_error_memory(err, "the packing pool") : 0;
}

void plm_pack_fini(struct plm_pack *pack) {
  free(pack->items);
  *pack = (struct plm_pack){0};
}

void plm_pack_push(struct plm_pack *pack, struct plm_pack_item item) {
  assert(pack->count < pack->limit);
  if (pack->first + pack->count == 2 * pack->limit) {
    memmove(pack->items, pack->items + pack->first, pack->count * sizeof *pack->items);
    pack->first = 0;
  }
  pack->items[pack->first + pack->count++] = item;
}

int plm_pack_take(struct plm_pack *pack, uint32_t room, struct plm_pack_item *out) {
  struct plm_pack_item *items = pack->items + pack->first;
  size_t best = pack->count;
  uint32_t length = 0;
  for (size_t i = 0; i < pack->count && length < room; i++) {
    if (items[i].length <= room && items[i].length > length) {
      best = i;
      length = items[i].length;
      if (i == 0)
        break; /* the oldest fits */
    }
  }
  if (best == pack->count)
    return 0;
  *out = items[best];
  /* The older ones move up: they are fewer than the pool, and none at all in the usual case. */
  memmove(items + 1, items, best * sizeof *items);
  pack->first++;
  pack->count--;
  return 1;
}
