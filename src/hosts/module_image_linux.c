// SPDX-License-Identifier: MIT
// module_image_linux: shared objects.
#include <dlfcn.h>
#include <stdio.h>

#include "elf/elf.h"
#include "hosts/module_copy.h"
#include "hosts/module_image.h"
#include "plat/plat.h"

_Static_assert(MODULE_COPY_WHY == MODULE_IMAGE_WHY && MODULE_COPY_MAX == ELF_MAX_SIZE, "the same limits");

// The copy stays open because its descriptor is in the image's name, and the dynamic linker would take a
// second image of the same name for the first.
struct module_image {
    struct module_copy copy;
    void *handle;
};

static void *open_image(const struct module_image *image, int flags)
{
    char name[40];
    snprintf(name, sizeof(name), "/proc/self/fd/%d", image->copy.fd);
    return dlopen(name, RTLD_NOW | RTLD_LOCAL | flags);
}

// Images may be made to stay (-z nodelete, unique symbols), and their names stay with them. Then the
// descriptor is given up for good, so that no other module's copy gets it.
static void unlink_image(struct module_image *image)
{
    dlclose(image->handle);
    void *remains = open_image(image, RTLD_NOLOAD);
    if (remains != NULL) {
        dlclose(remains);
        image->copy.fd = -1;
    }
}

static ebpf_result_t link_image(struct module_image *image, char why[MODULE_IMAGE_WHY])
{
    image->handle = open_image(image, 0);
    if (image->handle == NULL) {
        const char *reason = dlerror();
        return module_image_fail(EBPF_INVALID_OBJECT, why, "the dynamic linker refuses it: %s",
                                 reason != NULL ? reason : "no reason given");
    }
    return EBPF_SUCCESS;
}

static ebpf_result_t find_table(const struct module_image *image, const struct ebpf_native_module **table,
                                char why[MODULE_IMAGE_WHY])
{
    *table = dlsym(image->handle, EBPF_NATIVE_SYMBOL);
    return *table != NULL
               ? EBPF_SUCCESS
               : module_image_fail(EBPF_INVALID_OBJECT, why, "it does not export " EBPF_NATIVE_SYMBOL);
}

static ebpf_result_t load(void *user, const char *path, const struct ebpf_native_module **table, void **image,
                          char why[MODULE_IMAGE_WHY])
{
    ebpf_result_t result;
    UNUSED(user);
    struct module_image *new = plat_alloc(sizeof(*new), POOL_TAG_CORE);
    if (new == NULL) {
        return module_image_fail(EBPF_NO_MEMORY, why, "there is no memory for it");
    }
    TRY_OR(result, module_copy_make(path, &new->copy, why), undo_image);
    TRY_OR(result, module_image_check(new->copy.bytes, new->copy.size, why), undo_copy);
    module_copy_forget_bytes(&new->copy);
    TRY_OR(result, link_image(new, why), undo_copy);
    TRY_OR(result, find_table(new, table, why), undo_link);
    *image = new;
    return EBPF_SUCCESS;

undo_link:
    unlink_image(new);
undo_copy:
    module_copy_close(&new->copy);
undo_image:
    plat_free(new);
    return result;
}

static void unload(void *user, void *image)
{
    struct module_image *old = image;
    UNUSED(user);
    unlink_image(old);
    module_copy_close(&old->copy);
    plat_free(old);
}

void module_image_loader(struct core_module_loader *out)
{
    *out = (struct core_module_loader){.load = load, .unload = unload};
}
