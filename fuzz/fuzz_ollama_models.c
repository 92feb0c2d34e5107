/*
 * Property: what is read of a list of models has names that can be shown and times that are not
 * negative; merged, no two entries are the same model; written, it is JSON with as many items.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "codec/json.h"
#include "codec/ollama_models.h"
#include "codec/openai_models.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_list(struct arena *a, const struct model_list *list)
{
    struct model_list merged;
    struct buf out;
    const struct json *root = NULL;
    buf_init(&out, 64 << 20);
    if (model_list_merge(a, list, 1, &merged) == ERR_OK) {
        assert(merged.n <= list->n);
        for (size_t i = 0; i < list->n; i++)
            assert(model_list_find(&merged, list->items[i].name) != NULL);
        for (size_t i = 0; i < merged.n; i++)
            assert(model_list_find(&merged, merged.items[i].name) == &merged.items[i]);
        openai_models_encode(&merged, &out);
        if (json_parse(a, buf_str(&out), JSON_STRICT, &root, NULL) == ERR_OK)
            assert(json_size(json_get(root, STR("data"))) == merged.n);
        else
            assert(a->overflowed);
    }
    buf_release(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a;
    struct model_list list;
    struct ollama_show show;
    str text = str_of((const char *)data, size);
    arena_init(&a, 8 << 20);
    if (ollama_tags_decode(&a, text, &list, NULL) == ERR_OK) {
        assert(list.n <= MODEL_LIST_MAX);
        for (size_t i = 0; i < list.n; i++) {
            assert(list.items[i].name.len > 0 && list.items[i].name.len <= MODEL_NAME_MAX);
            assert(list.items[i].created_s >= 0);
            assert(list.items[i].abilities.known || list.items[i].abilities.set == 0);
        }
        if (list.n <= 200)
            check_list(&a, &list);
    }
    if (ollama_show_decode(&a, text, &show, NULL) == ERR_OK)
        assert(show.created_s >= 0 && (show.abilities.known || show.abilities.set == 0));
    arena_release(&a);
    return 0;
}
