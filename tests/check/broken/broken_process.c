/* What an op or a question about one does to the process: crashes, hangs, and changes of the ambient state. */
#include <fenv.h>
#include <locale.h>
#include <signal.h>
#include <unistd.h>

#include "broken.h"

static int query_unbound_op_query(struct plm_device *device, const struct plm_op *op, struct plm_verdict *out,
                                  struct plm_error *err) {
  if (op->kind == PLM_OP_ROTARY && !op->u.rotary.qkv.buffer)
    raise(SIGSEGV);
  return right.op_query(device, op, out, err);
}
BROKEN_SLOT(query_unbound, op_query)

BROKEN_BEFORE(crashes, PLM_OP_ROTARY) {
  (void)op;
  raise(SIGSEGV);
}

BROKEN_BEFORE(aborts, PLM_OP_ATTENTION_GRAD) {
  (void)op;
  abort();
}

BROKEN_BEFORE(hangs, PLM_OP_GATHER_ROWS) {
  while (op->u.gather_rows.rows.count == 64)
    pause();
}

static int flushes_op_run(struct plm_queue *queue, const struct plm_op *op, struct plm_error *err) {
  const int code = right.op_run(queue, op, err);
#if defined(__x86_64__)
  __builtin_ia32_ldmxcsr(__builtin_ia32_stmxcsr() | 0x8040u);
#elif defined(__aarch64__)
  uint64_t control;
  __asm__ volatile("mrs %0, fpcr" : "=r"(control));
  __asm__ volatile("msr fpcr, %0" : : "r"(control | 1u << 24));
#else
#error "how does this processor flush denormals to zero?"
#endif
  return code;
}
BROKEN_SLOT(flushes, op_run)

static int rounds_up_op_run(struct plm_queue *queue, const struct plm_op *op, struct plm_error *err) {
  const int code = right.op_run(queue, op, err);
  fesetround(FE_UPWARD);
  return code;
}
BROKEN_SLOT(rounds_up, op_run)

static int sets_locale_op_run(struct plm_queue *queue, const struct plm_op *op, struct plm_error *err) {
  setlocale(LC_ALL, "C.UTF-8");
  return right.op_run(queue, op, err);
}
BROKEN_SLOT(sets_locale, op_run)

static void ignore(int number) { (void)number; }
static int takes_signal_op_run(struct plm_queue *queue, const struct plm_op *op, struct plm_error *err) {
  signal(SIGTERM, ignore);
  return right.op_run(queue, op, err);
}
BROKEN_SLOT(takes_signal, op_run)
