/* What the files behind plugin.h share. Nobody else includes this. */
#ifndef PLM_RUNTIME_LOADING_H
#define PLM_RUNTIME_LOADING_H

#include "runtime/plugin.h"

/* Sizes of ABI 1.0: the least that is accepted from a plugin of this major, for ever. */
#define PLM_CARD_BYTES_1_0 112u
#define PLM_BACKEND_BYTES_1_0 160u
#define PLM_OPTION_BYTES_1_0 56u

/*
 * Opens a shared library under guard, after checking that it is a whole ELF file, and finds the entry function, which
 * must be the file's own. PLM_E_DAMAGED: not a shared library; PLM_E_ABI: not a backend of this ABI major.
 */
int plm_library_open(void **library, plm_plugin_entry_fn *entry, const char *path, struct plm_error *err);

/*
 * What one started plugin is given and its card's copy. Never released: the ABI promises the host table until the
 * process ends. Checks the declared options and the settings against them.
 */
struct plm_services;
int plm_services_create(struct plm_services **out, const struct plm_plugin_card *card,
                        const struct plm_setting *settings, uint32_t setting_count, uint32_t threads,
                        struct plm_error *err);
const struct plm_host *plm_services_host(const struct plm_services *services);
const struct plm_plugin_card *plm_services_card(const struct plm_services *services);

/* Sets every empty optional slot of a table whose required slots are set. library: whose table it is. */
int plm_defaults_fill(struct plm_backend *backend, const void *library, struct plm_error *err);

#endif
