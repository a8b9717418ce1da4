/* Wrong: a shared library, but no plugin: it exports something else. */
int plm_plugin_entry_v2(void);
__attribute__((visibility("default"))) int plm_plugin_entry_v2(void) { return 2; }
