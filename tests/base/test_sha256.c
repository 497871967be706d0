/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/base/test.h"

#include <string.h>

#include "base/mem.h"
#include "base/sha256.h"

static void known_texts_have_their_known_sums(void **state)
{
    static const struct {
        const char *text, *sum;
    } known[] = {
        { "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
        { "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
        { "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
          "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
    };
    char sum[SHA256_HEX_BYTES];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        sha256_hex(known[i].text, strlen(known[i].text), sum);
        assert_string_equal(sum, known[i].sum);
    }
}

static void a_long_text_is_summed_block_by_block(void **state)
{
    enum { MILLION = 1000000 };
    char sum[SHA256_HEX_BYTES];
    auto_free char *text = mem_alloc(MILLION);
    (void)state;
    memset(text, 'a', MILLION);
    sha256_hex(text, MILLION, sum);
    assert_string_equal(sum, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_texts_have_their_known_sums),
        cmocka_unit_test(a_long_text_is_summed_block_by_block),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
