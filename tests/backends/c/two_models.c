/* Two models, two contexts, one arena after the other and both interleaved layer by layer. */
#include "one.h"
#include "two.h"

#include <stdio.h>
#include <string.h>

int main(void)
{
    static one_arena first_arena;
    static two_arena second_arena;
    static uint8_t image[ONE_INPUT_IMAGE_BYTES];
    static one_context first;
    static two_context second;
    float scores[2][ONE_OUTPUT_SCORES_ELEMENTS];
    float again[2][ONE_OUTPUT_SCORES_ELEMENTS];
    int32_t a, b;
    FILE *file = fopen("image.bin", "rb");
    if (file == NULL || fread(image, 1, sizeof image, file) != sizeof image) {
        return 1;
    }
    fclose(file);
    if (one_init(&first, &first_arena, sizeof first_arena) || two_init(&second, &second_arena, sizeof second_arena)) {
        return 2;
    }
    if (one_run(&first, image, scores[0]) || two_run(&second, image, scores[1])) {
        return 3;
    }
    if (one_start(&first, image, again[0]) || two_start(&second, image, again[1])) {
        return 4;
    }
    do {
        a = one_step(&first);
        b = two_step(&second);
    } while (a == ONE_MORE && b == TWO_MORE);
    if (a != ONE_OK || b != TWO_OK || memcmp(scores, again, sizeof scores) != 0) {
        return 5;
    }
    file = fopen("scores.bin", "wb");
    return file == NULL || fwrite(scores, 1, sizeof scores, file) != sizeof scores || fclose(file) != 0 ? 6 : 0;
}
