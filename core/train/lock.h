/*
 * Advisory locks that end with their process, however it ends: an OFD lock on a file that says who holds it. The study's is
 * NAME.study/lock (one `run` at a time), a cell's is cells/ID/lock (one process trains it). The file itself stays.
 */
#ifndef PLM_TRAIN_LOCK_H
#define PLM_TRAIN_LOCK_H

#include <stddef.h>

#include "base/error.h"

#define PLM_LOCK_NAME "lock"
#define PLM_LOCK_HOLDER 160 /* "process 4711 on hostname since 2026-01-31T12:00:00Z" */

/*
 * Takes the lock folder/lock. *out is a file descriptor owned by the caller; closing it gives the lock back. PLM_E_BUSY when
 * another process (or another descriptor of this one) holds it: what "which" names the thing in the message.
 */
int plm_lock_take(int *out, const char *folder, const char *what, const char *which, struct plm_error *err);

/* Gives it back; takes -1. */
void plm_lock_release(int lock);

/* 1 when somebody holds folder/lock; holder (may be NULL) then says who. Disturbs nobody. */
int plm_lock_held(char holder[PLM_LOCK_HOLDER], const char *folder);

#endif
