#include "check/elf_exports.h"

#include <elf.h>
#include <link.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"

#define FILE_MAX ((size_t)2 << 30)

struct image {
  const char *path;
  char *bytes;
  size_t size;
};

/* count items of size bytes at offset, aligned copies being the caller's affair; NULL when they are not all in the file. */
static const void *piece(const struct image *image, uint64_t offset, uint64_t count, uint64_t size) {
  uint64_t bytes;
  if (__builtin_mul_overflow(count, size, &bytes) || offset > image->size || bytes > image->size - offset)
    return NULL;
  return image->bytes + offset;
}

static int damaged(const struct image *image, const char *what, struct plm_error *err) {
  return plm_error_set(err, PLM_E_DAMAGED, "plugin \"%s\": %s", image->path, what);
}

static int visible(const ElfW(Sym) *symbol) {
  const unsigned bind = symbol->st_info >> 4, visibility = symbol->st_other & 3;
  return symbol->st_shndx != SHN_UNDEF && (bind == STB_GLOBAL || bind == STB_WEAK || bind == STB_GNU_UNIQUE) &&
         (visibility == STV_DEFAULT || visibility == STV_PROTECTED);
}

/* What the linker itself defines in old tool chains. */
static int of_linker(const char *name) {
  static const char *const names[] = {"_init", "_fini", "_edata", "_end", "__bss_start"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (!strcmp(name, names[i]))
      return 1;
  return 0;
}

static int read_symbols(struct plm_elf_exports *out, const struct image *image, const ElfW(Shdr) *table,
                        const ElfW(Shdr) *strings, struct plm_error *err) {
  const uint64_t count = table->sh_size / sizeof(ElfW(Sym));
  const char *symbols = piece(image, table->sh_offset, count, sizeof(ElfW(Sym)));
  const char *names = piece(image, strings->sh_offset, strings->sh_size, 1);
  if (!symbols || !names || !strings->sh_size || names[strings->sh_size - 1])
    return damaged(image, "cut short: its dynamic symbols are missing", err);
  out->names = plm_memory_zeroed((size_t)count + 1, sizeof *out->names);
  if (!out->names)
    return plm_error_memory(err, "the symbols of a plugin");
  for (uint64_t i = 0; i < count; i++) {
    ElfW(Sym) symbol;
    memcpy(&symbol, symbols + i * sizeof symbol, sizeof symbol);
    if (!visible(&symbol) || symbol.st_name >= strings->sh_size || of_linker(names + symbol.st_name))
      continue;
    out->names[out->count] = strdup(names + symbol.st_name);
    if (!out->names[out->count++])
      return plm_error_memory(err, "the symbols of a plugin");
  }
  return 0;
}

static int read_image(struct plm_elf_exports *out, const struct image *image, struct plm_error *err) {
  ElfW(Ehdr) header;
  ElfW(Shdr) section, strings;
  if (image->size < sizeof header || memcmp(image->bytes, ELFMAG, SELFMAG))
    return damaged(image, "not a shared library (no ELF header)", err);
  memcpy(&header, image->bytes, sizeof header);
  if (header.e_ident[EI_CLASS] != (sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32) || header.e_type != ET_DYN)
    return damaged(image, "an ELF file, but not a shared library of this machine's word size", err);
  const char *sections = piece(image, header.e_shoff, header.e_shnum, sizeof section);
  if (!sections || header.e_shentsize != sizeof section)
    return damaged(image, "cut short: its section headers are missing", err);
  for (unsigned i = 0; i < header.e_shnum; i++) {
    memcpy(&section, sections + i * sizeof section, sizeof section);
    if (section.sh_type != SHT_DYNSYM)
      continue;
    if (section.sh_link >= header.e_shnum)
      return damaged(image, "damaged: its dynamic symbols have no names", err);
    memcpy(&strings, sections + section.sh_link * sizeof strings, sizeof strings);
    return read_symbols(out, image, &section, &strings, err);
  }
  return damaged(image, "has no dynamic symbol table", err);
}

int plm_elf_exports_read(struct plm_elf_exports *out, const char *path, struct plm_error *err) {
  struct image image = {.path = path};
  struct plm_elf_exports exports = {0};
  int code = plm_file_read(&image.bytes, &image.size, path, FILE_MAX, err);
  if (!code)
    code = read_image(&exports, &image, err);
  free(image.bytes);
  if (code)
    plm_elf_exports_fini(&exports);
  else
    *out = exports;
  return code;
}

void plm_elf_exports_fini(struct plm_elf_exports *exports) {
  for (size_t i = 0; i < exports->count; i++)
    free(exports->names[i]);
  free(exports->names);
  *exports = (struct plm_elf_exports){0};
}
