/* Every way of calling the model wrongly: the status that the header states, and memory outside the arena untouched. */
#include "expect.h"
#include "tiny.h"

#include <string.h>

int main(void)
{
    static uint32_t memory[TINY_ARENA_BYTES / 4 + 32];
    uint8_t *arena = (uint8_t *)memory + 64;
    static uint8_t image[TINY_INPUT_IMAGE_BYTES];
    static float scores[TINY_OUTPUT_SCORES_ELEMENTS + 1];
    static tiny_context context, other;
    int failures = 0;
    int32_t steps = 0;
    size_t i;

    memset(memory, 0xA5, sizeof memory);
    EXPECT(tiny_run(&context, image, scores), TINY_ERROR_CONTEXT);
    EXPECT(tiny_step(&context), TINY_ERROR_CONTEXT);
    EXPECT(tiny_init(NULL, arena, TINY_ARENA_BYTES), TINY_ERROR_NULL);
    EXPECT(tiny_init(&context, NULL, TINY_ARENA_BYTES), TINY_ERROR_NULL);
    EXPECT(tiny_init(&context, arena, TINY_ARENA_BYTES - 1u), TINY_ERROR_ARENA);
    EXPECT(tiny_init(&context, arena, 0), TINY_ERROR_ARENA);
    EXPECT(tiny_init(&context, arena + 1, TINY_ARENA_BYTES), TINY_ERROR_ALIGNMENT);
    EXPECT(tiny_run(&context, image, scores), TINY_ERROR_CONTEXT);
    for (i = 0; i < sizeof memory / sizeof memory[0]; i++) {
        EXPECT(memory[i], 0xA5A5A5A5u);
    }

    EXPECT(tiny_init(&context, arena, TINY_ARENA_BYTES), TINY_OK);
    EXPECT(tiny_run(NULL, image, scores), TINY_ERROR_NULL);
    EXPECT(tiny_run(&context, NULL, scores), TINY_ERROR_NULL);
    EXPECT(tiny_run(&context, image, NULL), TINY_ERROR_NULL);
    EXPECT(tiny_run(&context, image, (float *)(void *)((uint8_t *)scores + 1)), TINY_ERROR_ALIGNMENT);
    EXPECT(tiny_step(NULL), TINY_ERROR_NULL);
    EXPECT(tiny_step(&context), TINY_ERROR_IDLE);
    EXPECT(tiny_run(&context, image, scores), TINY_OK);
    EXPECT(tiny_step(&context), TINY_ERROR_IDLE);

    EXPECT(tiny_start(&context, image, scores), TINY_OK);
    EXPECT(tiny_start(&context, image, scores), TINY_ERROR_BUSY);
    EXPECT(tiny_step(&context), TINY_MORE);
    EXPECT(tiny_run(&context, image, scores), TINY_ERROR_BUSY);
    EXPECT(tiny_init(&context, arena, TINY_ARENA_BYTES), TINY_OK);
    EXPECT(tiny_step(&context), TINY_ERROR_IDLE);
    EXPECT(tiny_start(&context, image, scores), TINY_OK);
    while (tiny_step(&context) == TINY_MORE) {
        steps++;
    }
    EXPECT(steps, TINY_LAYER_COUNT - 1);
    EXPECT(tiny_run(&context, image, scores), TINY_OK);

    memset(&other, 0xFF, sizeof other);
    EXPECT(tiny_run(&other, image, scores), TINY_ERROR_CONTEXT);
    EXPECT(strcmp(tiny_layer_name(1), "stem"), 0);
    EXPECT(tiny_layer_name(-1) == NULL && tiny_layer_name(TINY_LAYER_COUNT) == NULL, 1);
    for (i = 0; i < 64; i++) {
        EXPECT(((uint8_t *)memory)[i], 0xA5);
        EXPECT(((uint8_t *)memory)[64 + TINY_ARENA_BYTES + i], 0xA5);
    }
    return failures != 0;
}
