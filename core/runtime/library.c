#include "runtime/loading.h"

#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"

static int read_exactly(int fd, void *data, size_t bytes, uint64_t offset) {
  return pread(fd, data, bytes, (off_t)offset) == (ssize_t)bytes;
}

/* A cut-off library maps, and the first touch of a missing page is SIGBUS inside dlopen: so look first. */
static int elf_check(int fd, uint64_t size, const char *path, struct plm_error *err) {
  ElfW(Ehdr) header;
  ElfW(Phdr) part;
  if (!read_exactly(fd, &header, sizeof header, 0) || memcmp(header.e_ident, ELFMAG, SELFMAG))
    return plm_error_set(err, PLM_E_DAMAGED, "plugin \"%s\": not a shared library (%llu bytes, no ELF header)", path,
                         (unsigned long long)size);
  if (header.e_ident[EI_CLASS] != (sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32) || header.e_type != ET_DYN)
    return plm_error_set(err, PLM_E_DAMAGED, "plugin \"%s\": an ELF file, but not a %zu-bit shared library", path,
                         sizeof(void *) * 8);
  if (header.e_phentsize != sizeof part || header.e_phnum == 0)
    return plm_error_set(err, PLM_E_DAMAGED, "plugin \"%s\": damaged ELF header (%u program headers of %u bytes)", path,
                         header.e_phnum, header.e_phentsize);
  if (header.e_shoff > size || (uint64_t)header.e_shnum * header.e_shentsize > size - header.e_shoff)
    return plm_error_set(err, PLM_E_DAMAGED, "plugin \"%s\": cut short at %llu bytes (section headers missing)", path,
                         (unsigned long long)size);
  for (unsigned i = 0; i < header.e_phnum; i++) {
    if (!read_exactly(fd, &part, sizeof part, header.e_phoff + (uint64_t)i * sizeof part))
      return plm_error_set(err, PLM_E_DAMAGED, "plugin \"%s\": cut short at %llu bytes (program headers missing)", path,
                           (unsigned long long)size);
    if (part.p_type == PT_LOAD && (part.p_offset > size || part.p_filesz > size - part.p_offset))
      return plm_error_set(err, PLM_E_DAMAGED, "plugin \"%s\": cut short at %llu bytes (segment %u missing)", path,
                           (unsigned long long)size, i);
  }
  return 0;
}

static int file_check(const char *path, struct plm_error *err) {
  struct stat status;
  int code, fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0)
    return plm_error_set_system(err, errno, "plugin \"%s\"", path);
  if (fstat(fd, &status))
    code = plm_error_set_system(err, errno, "plugin \"%s\"", path);
  else if (!S_ISREG(status.st_mode))
    code = plm_error_set(err, PLM_E_DAMAGED, "plugin \"%s\": %s, not a shared library", path,
                         S_ISDIR(status.st_mode) ? "a folder" : "a special file");
  else
    code = elf_check(fd, (uint64_t)status.st_size, path, err);
  close(fd);
  return code;
}

/* dlsym also looks in what a library depends on; an entry found there would be another plugin's. */
static int entry_find(plm_plugin_entry_fn *out, void *library, const char *path, struct plm_error *err) {
  struct link_map *of_library = NULL, *of_symbol = NULL;
  Dl_info info;
  void *symbol = dlsym(library, PLM_PLUGIN_ENTRY_NAME);
  if (!symbol)
    return plm_error_set(err, PLM_E_ABI,
                         "plugin \"%s\": does not export " PLM_PLUGIN_ENTRY_NAME
                         ": not a plmscale backend, or built for another ABI major than %u",
                         path, PLM_ABI_MAJOR);
  if (dlinfo(library, RTLD_DI_LINKMAP, &of_library) || !dladdr1(symbol, &info, (void **)&of_symbol, RTLD_DL_LINKMAP))
    return plm_error_set(err, PLM_E_INTERNAL,
                         "plugin \"%s\": the dynamic linker cannot tell whose " PLM_PLUGIN_ENTRY_NAME " it has", path);
  if (of_library != of_symbol)
    return plm_error_set(err, PLM_E_ABI, "plugin \"%s\": " PLM_PLUGIN_ENTRY_NAME " is not its own but of \"%s\"", path,
                         info.dli_fname);
  memcpy(out, &symbol, sizeof *out);
  return 0;
}

int plm_library_open(void **library, plm_plugin_entry_fn *entry, const char *path, struct plm_error *err) {
  struct plm_guard guard;
  void *handle;
  char *where;
  int code = file_check(path, err);
  if (code)
    return code;
  where = plm_memory_format("dlopen of \"%s\"", path);
  if (!where)
    return plm_error_memory(err, "plugin path");
  plm_guard_take(&guard);
  handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  code = plm_guard_check(&guard, where, err);
  if (!code && !handle)
    code = plm_error_set(err, PLM_E_DAMAGED, "plugin \"%s\": cannot be loaded: %s", path, dlerror());
  if (!code)
    code = entry_find(entry, handle, path, err);
  if (!code)
    *library = handle;
  free(where);
  return code;
}
