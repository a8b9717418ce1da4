#include "runtime/plugin.h"

#include <fenv.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>

#if defined(__x86_64__)
#include <xmmintrin.h>
#define CONTROL_MASK 0xffc0u /* bits 0 to 5 are sticky status flags */
static uint64_t control_read(void) { return _mm_getcsr() & CONTROL_MASK; }
static void control_write(uint64_t control) { _mm_setcsr((_mm_getcsr() & ~CONTROL_MASK) | (uint32_t)control); }
static int control_flushes(uint64_t control) { return (control & 0x8040u) != 0; }
#define CONTROL_NAME "MXCSR"
#elif defined(__aarch64__)
static uint64_t control_read(void) {
  uint64_t value;
  __asm__ volatile("mrs %0, fpcr" : "=r"(value));
  return value;
}
static void control_write(uint64_t control) { __asm__ volatile("msr fpcr, %0" : : "r"(control)); }
static int control_flushes(uint64_t control) { return (control & (1u << 24)) != 0; }
#define CONTROL_NAME "FPCR"
#else
static uint64_t control_read(void) { return 0; }
static void control_write(uint64_t control) { (void)control; }
static int control_flushes(uint64_t control) { return (int)control; }
#define CONTROL_NAME "control register"
#endif

/* Of the flags only the one that says how the handler is called: the C library adds private ones when it sets an
 * action. */
static int same_action(const struct sigaction *a, const struct sigaction *b) {
  return a->sa_handler == b->sa_handler && !((a->sa_flags ^ b->sa_flags) & SA_SIGINFO);
}

static int control_check(const struct plm_guard *guard, const char *where, struct plm_error *err) {
  uint64_t control = control_read();
  if (control == guard->control)
    return 0;
  control_write(guard->control);
  return plm_error_set(
      err, PLM_E_ABI, "%s: changed the floating-point state (" CONTROL_NAME " from %llx to %llx%s); restored", where,
      (unsigned long long)guard->control, (unsigned long long)control,
      control_flushes(control) && !control_flushes(guard->control) ? ", flush-to-zero: linked with -ffast-math?" : "");
}

static int locale_check(const struct plm_guard *guard, const char *where, struct plm_error *err) {
  char now[sizeof guard->locale];
  const char *restored = "restored";
  if ((void *)uselocale((locale_t)0) != guard->thread_locale) {
    uselocale((locale_t)guard->thread_locale);
    return plm_error_set(err, PLM_E_ABI, "%s: changed the thread's locale (uselocale); restored", where);
  }
  snprintf(now, sizeof now, "%s", setlocale(LC_ALL, NULL));
  if (!strcmp(now, guard->locale))
    return 0;
  if (!setlocale(LC_ALL, guard->locale))
    restored = "could not be restored";
  return plm_error_set(err, PLM_E_ABI, "%s: changed the locale from \"%s\" to \"%s\"; %s", where, guard->locale, now,
                       restored);
}

static int signal_check(int number, const char *name, const struct sigaction *before, const char *where,
                        struct plm_error *err) {
  struct sigaction now;
  if (sigaction(number, NULL, &now) || same_action(&now, before))
    return 0;
  sigaction(number, before, NULL);
  return plm_error_set(err, PLM_E_ABI, "%s: changed the handler of %s; restored", where, name);
}

void plm_guard_take(struct plm_guard *out) {
  memset(out, 0, sizeof *out);
  out->control = control_read();
  out->rounding = fegetround();
  out->thread_locale = (void *)uselocale((locale_t)0);
  sigaction(SIGINT, NULL, &out->interrupt);
  sigaction(SIGTERM, NULL, &out->terminate);
  snprintf(out->locale, sizeof out->locale, "%s", setlocale(LC_ALL, NULL));
}

/* Everything is compared and restored; the first change found is the one reported. */
int plm_guard_check(const struct plm_guard *guard, const char *where, struct plm_error *err) {
  int rounding = fegetround(), code = 0, other;
  if (rounding != guard->rounding) {
    fesetround(guard->rounding);
    code = plm_error_set(err, PLM_E_ABI, "%s: changed the rounding mode from %d to %d; restored", where,
                         guard->rounding, rounding);
  }
  other = control_check(guard, where, code ? NULL : err);
  code = code ? code : other;
  other = locale_check(guard, where, code ? NULL : err);
  code = code ? code : other;
  other = signal_check(SIGINT, "SIGINT", &guard->interrupt, where, code ? NULL : err);
  code = code ? code : other;
  other = signal_check(SIGTERM, "SIGTERM", &guard->terminate, where, code ? NULL : err);
  return code ? code : other;
}
