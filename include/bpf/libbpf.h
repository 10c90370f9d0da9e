// SPDX-License-Identifier: MIT
// libbpf: the object half of the libbpf API: open an object file, load it, find its programs and maps, attach
// them.
//
// Functions that return pointers return NULL on failure and set errno. Names belong to the object and live as
// long as it. An object is used by one thread at a time; different objects may be used at once. What must be
// set before loading is refused with EBUSY afterwards.
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <bpf/libbpf_common.h>

#ifdef __cplusplus
extern "C" {
#endif

// --- library -------------------------------------------------------------------------------------

LIBBPF_API __u32 libbpf_major_version(void);
LIBBPF_API __u32 libbpf_minor_version(void);
LIBBPF_API const char *libbpf_version_string(void); // "v1.8"

enum libbpf_errno {
    __LIBBPF_ERRNO__START = 4000,
    LIBBPF_ERRNO__LIBELF = __LIBBPF_ERRNO__START,
    LIBBPF_ERRNO__FORMAT, // the object file is malformed
    LIBBPF_ERRNO__KVERSION,
    LIBBPF_ERRNO__ENDIAN,
    LIBBPF_ERRNO__INTERNAL,
    LIBBPF_ERRNO__RELOC,
    LIBBPF_ERRNO__LOAD,
    LIBBPF_ERRNO__VERIFY,
    LIBBPF_ERRNO__PROG2BIG,
    LIBBPF_ERRNO__KVER,
    LIBBPF_ERRNO__PROGTYPE,
    LIBBPF_ERRNO__WRNGPID,
    LIBBPF_ERRNO__INVSEQ,
    LIBBPF_ERRNO__NLPARSE,
    __LIBBPF_ERRNO__END,
};

// Text of errno or enum libbpf_errno, of either sign. -ENOENT for unknown ones of the library's range,
// -ERANGE when cut.
LIBBPF_API int libbpf_strerror(int err, char *buf, size_t size);
// -errno of the call that returned `ptr`: 0 when it is not NULL.
LIBBPF_API long libbpf_get_error(const void *ptr);

enum libbpf_print_level { LIBBPF_WARN, LIBBPF_INFO, LIBBPF_DEBUG };
typedef int (*libbpf_print_fn_t)(enum libbpf_print_level level, const char *format, va_list args);
// Returns the former callback. NULL silences the library; the default prints warnings and notes to stderr.
LIBBPF_API libbpf_print_fn_t libbpf_set_print(libbpf_print_fn_t fn);

// Left from before libbpf 1.0, for programs that still call it: strict is all there is. Returns 0.
enum libbpf_strict_mode { LIBBPF_STRICT_ALL = 0xffffffff, LIBBPF_STRICT_NONE = 0 };
LIBBPF_API int libbpf_set_strict_mode(enum libbpf_strict_mode mode);

// Static names such as "xdp", "percpu_array"; NULL for unknown numbers.
LIBBPF_API const char *libbpf_bpf_attach_type_str(enum bpf_attach_type t);
LIBBPF_API const char *libbpf_bpf_link_type_str(enum bpf_link_type t);
LIBBPF_API const char *libbpf_bpf_map_type_str(enum bpf_map_type t);
LIBBPF_API const char *libbpf_bpf_prog_type_str(enum bpf_prog_type t);
// Type that a section name selects. -ESRCH when it selects none.
LIBBPF_API int libbpf_prog_type_by_name(const char *name, enum bpf_prog_type *prog_type,
                                        enum bpf_attach_type *expected_attach_type);
LIBBPF_API int libbpf_attach_type_by_name(const char *name, enum bpf_attach_type *attach_type);
LIBBPF_API int libbpf_num_possible_cpus(void);

// --- objects -------------------------------------------------------------------------------------

struct bpf_object;
struct bpf_program;
struct bpf_map;
struct bpf_link;

struct bpf_object_open_opts {
    size_t sz;
    const char *object_name;   // NULL: the file's name up to the first dot
    bool relaxed_maps;         // accepted and not used
    const char *pin_root_path; // for maps pinned by name; NULL: /sys/fs/bpf, on Windows /ebpf/global
    __u32 : 32;
    const char *kconfig;         // values of extern variables of .kconfig: "CONFIG_HZ=1000" lines
    const char *btf_custom_path; // BTF for CO-RE relocations; NULL: the object's own types
    char *kernel_log_buf; // receives the verifier's findings of each program that has no buffer of its own
    size_t kernel_log_size;
    __u32 kernel_log_level;
    size_t : 0;
};
#define bpf_object_open_opts__last_field kernel_log_level

LIBBPF_API struct bpf_object *bpf_object__open(const char *path);
LIBBPF_API struct bpf_object *bpf_object__open_file(const char *path,
                                                    const struct bpf_object_open_opts *opts);
LIBBPF_API struct bpf_object *bpf_object__open_mem(const void *obj_buf, size_t obj_buf_sz,
                                                   const struct bpf_object_open_opts *opts);
// Creates the maps, fills global data, loads the programs. When anything fails nothing of it remains.
LIBBPF_API int bpf_object__load(struct bpf_object *obj);
LIBBPF_API void bpf_object__close(struct bpf_object *obj);
LIBBPF_API const char *bpf_object__name(const struct bpf_object *obj);
LIBBPF_API unsigned int bpf_object__kversion(const struct bpf_object *obj);

// Pins each as path/name; all or nothing. For maps `path` may be NULL: those with a pin path of their own.
LIBBPF_API int bpf_object__pin_maps(struct bpf_object *obj, const char *path);
LIBBPF_API int bpf_object__unpin_maps(struct bpf_object *obj, const char *path);
LIBBPF_API int bpf_object__pin_programs(struct bpf_object *obj, const char *path);
LIBBPF_API int bpf_object__unpin_programs(struct bpf_object *obj, const char *path);
LIBBPF_API int bpf_object__pin(struct bpf_object *obj, const char *path);
LIBBPF_API int bpf_object__unpin(struct bpf_object *obj, const char *path);

LIBBPF_API struct bpf_program *bpf_object__find_program_by_name(const struct bpf_object *obj,
                                                                const char *name);
LIBBPF_API struct bpf_program *bpf_object__next_program(const struct bpf_object *obj,
                                                        struct bpf_program *prog);
LIBBPF_API struct bpf_program *bpf_object__prev_program(const struct bpf_object *obj,
                                                        struct bpf_program *prog);
#define bpf_object__for_each_program(pos, obj)                                                               \
    for ((pos) = bpf_object__next_program((obj), NULL); (pos) != NULL;                                       \
         (pos) = bpf_object__next_program((obj), (pos)))

// Names that start with a dot name a map of global data by its section.
LIBBPF_API struct bpf_map *bpf_object__find_map_by_name(const struct bpf_object *obj, const char *name);
LIBBPF_API int bpf_object__find_map_fd_by_name(const struct bpf_object *obj, const char *name);
LIBBPF_API struct bpf_map *bpf_object__next_map(const struct bpf_object *obj, const struct bpf_map *map);
LIBBPF_API struct bpf_map *bpf_object__prev_map(const struct bpf_object *obj, const struct bpf_map *map);
#define bpf_object__for_each_map(pos, obj)                                                                   \
    for ((pos) = bpf_object__next_map((obj), NULL); (pos) != NULL; (pos) = bpf_object__next_map((obj), (pos)))
#define bpf_map__for_each bpf_object__for_each_map

// --- programs ------------------------------------------------------------------------------------

LIBBPF_API const char *bpf_program__name(const struct bpf_program *prog);
LIBBPF_API const char *bpf_program__section_name(const struct bpf_program *prog);
LIBBPF_API enum bpf_prog_type bpf_program__type(const struct bpf_program *prog);
LIBBPF_API enum bpf_prog_type bpf_program__get_type(const struct bpf_program *prog);
LIBBPF_API int bpf_program__set_type(struct bpf_program *prog, enum bpf_prog_type type);
LIBBPF_API enum bpf_attach_type bpf_program__expected_attach_type(const struct bpf_program *prog);
LIBBPF_API enum bpf_attach_type bpf_program__get_expected_attach_type(const struct bpf_program *prog);
LIBBPF_API int bpf_program__set_expected_attach_type(struct bpf_program *prog, enum bpf_attach_type type);
LIBBPF_API bool bpf_program__autoload(const struct bpf_program *prog);
LIBBPF_API int bpf_program__set_autoload(struct bpf_program *prog, bool autoload);
LIBBPF_API size_t bpf_program__insn_cnt(const struct bpf_program *prog);
LIBBPF_API int bpf_program__fd(const struct bpf_program *prog); // -ENOENT: not loaded
LIBBPF_API void bpf_program__unload(struct bpf_program *prog);
LIBBPF_API int bpf_program__pin(struct bpf_program *prog, const char *path);
LIBBPF_API int bpf_program__unpin(struct bpf_program *prog, const char *path);
LIBBPF_API __u32 bpf_program__log_level(const struct bpf_program *prog);
LIBBPF_API int bpf_program__set_log_level(struct bpf_program *prog, __u32 log_level);
LIBBPF_API const char *bpf_program__log_buf(const struct bpf_program *prog, size_t *log_size);
LIBBPF_API int bpf_program__set_log_buf(struct bpf_program *prog, char *log_buf, size_t log_size);
// For hooks with one attachment point. -EOPNOTSUPP where an interface has to be named.
LIBBPF_API struct bpf_link *bpf_program__attach(const struct bpf_program *prog);
LIBBPF_API struct bpf_link *bpf_program__attach_xdp(const struct bpf_program *prog, int ifindex);

// --- maps ----------------------------------------------------------------------------------------

enum libbpf_pin_type { LIBBPF_PIN_NONE, LIBBPF_PIN_BY_NAME };

LIBBPF_API const char *bpf_map__name(const struct bpf_map *map);
LIBBPF_API enum bpf_map_type bpf_map__type(const struct bpf_map *map);
LIBBPF_API int bpf_map__set_type(struct bpf_map *map, enum bpf_map_type type);
LIBBPF_API __u32 bpf_map__key_size(const struct bpf_map *map);
LIBBPF_API int bpf_map__set_key_size(struct bpf_map *map, __u32 size);
LIBBPF_API __u32 bpf_map__value_size(const struct bpf_map *map);
LIBBPF_API int bpf_map__set_value_size(struct bpf_map *map, __u32 size); // maps of global data: -EOPNOTSUPP
LIBBPF_API __u32 bpf_map__max_entries(const struct bpf_map *map);
LIBBPF_API int bpf_map__set_max_entries(struct bpf_map *map, __u32 max_entries);
LIBBPF_API __u32 bpf_map__map_flags(const struct bpf_map *map);
LIBBPF_API int bpf_map__set_map_flags(struct bpf_map *map, __u32 flags);
LIBBPF_API __u32 bpf_map__btf_key_type_id(const struct bpf_map *map);
LIBBPF_API __u32 bpf_map__btf_value_type_id(const struct bpf_map *map);
LIBBPF_API bool bpf_map__autocreate(const struct bpf_map *map);
LIBBPF_API int bpf_map__set_autocreate(struct bpf_map *map, bool autocreate);
LIBBPF_API bool bpf_map__is_internal(const struct bpf_map *map); // global data
LIBBPF_API int bpf_map__fd(const struct bpf_map *map);           // -1: not created
// Uses the map `fd` instead of creating one; `fd` stays the caller's. The definition becomes that of the map.
LIBBPF_API int bpf_map__reuse_fd(struct bpf_map *map, int fd);
// NULL: not global data. From the load on it is the live value, which programs read and write at any moment;
// that of .rodata may only be read then. The address changes with the load.
LIBBPF_API void *bpf_map__initial_value(const struct bpf_map *map, size_t *size);
LIBBPF_API int bpf_map__set_initial_value(struct bpf_map *map, const void *data, size_t size);
LIBBPF_API int bpf_map__set_pin_path(struct bpf_map *map, const char *path); // NULL: none
LIBBPF_API const char *bpf_map__pin_path(const struct bpf_map *map);
LIBBPF_API const char *bpf_map__get_pin_path(const struct bpf_map *map);
LIBBPF_API bool bpf_map__is_pinned(const struct bpf_map *map);
LIBBPF_API int bpf_map__pin(struct bpf_map *map, const char *path);   // NULL: its own pin path
LIBBPF_API int bpf_map__unpin(struct bpf_map *map, const char *path); // NULL: its own pin path

// Like the functions of bpf.h, with the sizes checked against the definition first.
LIBBPF_API int bpf_map__lookup_elem(const struct bpf_map *map, const void *key, size_t key_sz, void *value,
                                    size_t value_sz, __u64 flags);
LIBBPF_API int bpf_map__update_elem(const struct bpf_map *map, const void *key, size_t key_sz,
                                    const void *value, size_t value_sz, __u64 flags);
LIBBPF_API int bpf_map__delete_elem(const struct bpf_map *map, const void *key, size_t key_sz, __u64 flags);
LIBBPF_API int bpf_map__lookup_and_delete_elem(const struct bpf_map *map, const void *key, size_t key_sz,
                                               void *value, size_t value_sz, __u64 flags);
LIBBPF_API int bpf_map__get_next_key(const struct bpf_map *map, const void *cur_key, void *next_key,
                                     size_t key_sz);

// --- links ---------------------------------------------------------------------------------------

LIBBPF_API struct bpf_link *bpf_link__open(const char *path); // pinned there
LIBBPF_API int bpf_link__fd(const struct bpf_link *link);
LIBBPF_API const char *bpf_link__pin_path(const struct bpf_link *link);
LIBBPF_API int bpf_link__pin(struct bpf_link *link, const char *path);
LIBBPF_API int bpf_link__unpin(struct bpf_link *link);
LIBBPF_API int bpf_link__update_program(struct bpf_link *link, struct bpf_program *prog);
LIBBPF_API int bpf_link__detach(struct bpf_link *link); // now, whoever else holds the link
// Destroying the structure no longer gives up the attachment.
LIBBPF_API void bpf_link__disconnect(struct bpf_link *link);
// Gives up this reference; the last one detaches. NULL allowed.
LIBBPF_API int bpf_link__destroy(struct bpf_link *link);

// --- XDP by interface ----------------------------------------------------------------------------

struct bpf_xdp_attach_opts {
    size_t sz;
    int old_prog_fd; // with XDP_FLAGS_REPLACE: only if this program is attached
    size_t : 0;
};
#define bpf_xdp_attach_opts__last_field old_prog_fd

struct bpf_xdp_query_opts {
    size_t sz;
    __u32 prog_id, drv_prog_id, hw_prog_id, skb_prog_id; // out
    __u8 attach_mode;                                    // out: 0 none, 1 driver
    __u64 feature_flags;                                 // out: 0
    __u32 xdp_zc_max_segs;                               // out: 0
    size_t : 0;
};
#define bpf_xdp_query_opts__last_field xdp_zc_max_segs

// An attachment made here outlives the process until it is replaced or detached. prog_fd -1 detaches. -EBUSY:
// something is attached that the flags do not allow to replace, or that a link holds.
LIBBPF_API int bpf_xdp_attach(int ifindex, int prog_fd, __u32 flags, const struct bpf_xdp_attach_opts *opts);
LIBBPF_API int bpf_xdp_detach(int ifindex, __u32 flags, const struct bpf_xdp_attach_opts *opts);
LIBBPF_API int bpf_xdp_query(int ifindex, int flags, struct bpf_xdp_query_opts *opts);
LIBBPF_API int bpf_xdp_query_id(int ifindex, int flags, __u32 *prog_id); // 0: nothing attached

#ifdef __cplusplus
}
#endif
