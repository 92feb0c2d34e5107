#include "codec/openai_models.h"

#include "codec/json.h"

void openai_model_encode(str id, int64_t created_s, struct buf *out)
{
    buf_append(out, STR("{\"id\":"));
    json_put_string(out, id);
    buf_append(out, STR(",\"object\":\"model\",\"created\":"));
    buf_append_i64(out, created_s);
    buf_append(out, STR(",\"owned_by\":"));
    json_put_string(out, model_name_owner(id));
    buf_append_char(out, '}');
}

void openai_models_encode(const struct model_list *list, struct buf *out)
{
    buf_append(out, STR("{\"object\":\"list\",\"data\":["));
    for (size_t i = 0; i < list->n; i++) {
        if (i > 0)
            buf_append_char(out, ',');
        openai_model_encode(list->items[i].name, list->items[i].created_s, out);
    }
    buf_append(out, STR("]}"));
}
