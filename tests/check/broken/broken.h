/*
 * What the broken plugins share. A plugin is the reference backend whose card and table one function, arm_NAME, has
 * changed: broken_entry.c is compiled once per row of broken.def, everything else once.
 */
#ifndef PLM_TESTS_BROKEN_H
#define PLM_TESTS_BROKEN_H

#include <stdlib.h>
#include <string.h>

#include "reference.h"

/* The plugin under construction: arm changes the card, and sets the slots of table that are not to be the reference's. */
struct broken {
  struct plm_plugin_card card;
  struct plm_backend table;
};

#define BROKEN(name, level, op, what) void arm_##name(struct broken *self);
#include "broken.def"
#undef BROKEN

/* The reference's complete table, and the host, once started. */
extern struct plm_backend right;
extern const struct plm_host *broken_host;
/* The card's start: the reference's, then the slots that arm has set. */
int broken_start(const struct plm_host *host, struct plm_backend *out, struct plm_error *err);
extern struct broken the_broken;

/* arm_NAME sets one slot to the function that follows, NAME_SLOT. */
#define BROKEN_SLOT(name, slot)                                                                                        \
  void arm_##name(struct broken *self) { self->table.slot = name##_##slot; }

/* op_run is right, then the statements that follow change what an op of that kind wrote: op is at hand. */
#define BROKEN_AFTER(name, wanted)                                                                                     \
  static void name##_after(const struct plm_op *op);                                                                   \
  static int name##_op_run(struct plm_queue *queue, const struct plm_op *op, struct plm_error *err) {                  \
    const int code = right.op_run(queue, op, err);                                                                     \
    if (code == PLM_OK && op->kind == (wanted))                                                                        \
      name##_after(op);                                                                                                \
    return code;                                                                                                       \
  }                                                                                                                    \
  BROKEN_SLOT(name, op_run)                                                                                            \
  static void name##_after(const struct plm_op *op)

/* The statements that follow change an op of that kind, a copy, before op_run runs it. */
#define BROKEN_BEFORE(name, wanted)                                                                                    \
  static void name##_before(struct plm_op *op);                                                                        \
  static int name##_op_run(struct plm_queue *queue, const struct plm_op *given, struct plm_error *err) {               \
    struct plm_op op = *given;                                                                                         \
    if (op.kind == (wanted))                                                                                           \
      name##_before(&op);                                                                                              \
    return right.op_run(queue, &op, err);                                                                              \
  }                                                                                                                    \
  BROKEN_SLOT(name, op_run)                                                                                            \
  static void name##_before(struct plm_op *op)

/* op_run says OK and does nothing when the condition holds; op is at hand. */
#define BROKEN_SKIP(name, condition)                                                                                   \
  static int name##_op_run(struct plm_queue *queue, const struct plm_op *op, struct plm_error *err) {                  \
    return (condition) ? PLM_OK : right.op_run(queue, op, err);                                                        \
  }                                                                                                                    \
  BROKEN_SLOT(name, op_run)

/* A view that breaks a rule is the reference's to refuse: what runs before it must not follow one. */
static inline int usable(const struct plm_view *view, uint64_t bytes) {
  return view->buffer && view->offset % 4 == 0 && view->bytes >= bytes && view->offset <= view->buffer->bytes &&
         view->bytes <= view->buffer->bytes - view->offset;
}

static inline float *floats(const struct plm_view *view) {
  return (float *)(void *)(view->buffer->data + view->offset);
}
static inline int32_t *integers(const struct plm_view *view) {
  return (int32_t *)(void *)(view->buffer->data + view->offset);
}

#endif
