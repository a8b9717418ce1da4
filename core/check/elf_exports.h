/* The dynamic symbols of a shared library, read from the file without loading it. */
#ifndef PLM_CHECK_ELF_EXPORTS_H
#define PLM_CHECK_ELF_EXPORTS_H

#include <stddef.h>

#include "base/error.h"

/* Names of the defined, visible symbols; owned by the caller, released by plm_elf_exports_fini. */
struct plm_elf_exports {
  char **names;
  size_t count;
};

/* PLM_E_DAMAGED: not a whole 64-bit ELF shared library with a dynamic symbol table. */
int plm_elf_exports_read(struct plm_elf_exports *out, const char *path, struct plm_error *err);
void plm_elf_exports_fini(struct plm_elf_exports *exports);

#endif
