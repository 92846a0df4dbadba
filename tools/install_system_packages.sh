#!/bin/sh
# Installs the Debian packages behind the tools given as arguments, where they are missing.
# Without apt or the rights for it, says what to install and fails.
set -eu

package_of() {
    case "$1" in
        cc | gcc) echo gcc libc6-dev ;; # Debian's gcc only recommends the headers
        g++) echo g++ ;;
        clang | clang++) echo clang ;;
        cmake) echo cmake ;;
        sanitizers) echo libclang-rt-14-dev ;;
        vulkan) echo mesa-vulkan-drivers libvulkan1 ;;
        qemu-aarch64-static) echo qemu-user-static libc6-arm64-cross libstdc++6-arm64-cross ;; # and what its programs load
        arm-none-eabi-gcc) echo gcc-arm-none-eabi libnewlib-arm-none-eabi ;; # Debian's gcc only recommends the library
        *) echo "$1" ;;
    esac
}

present() {
    case "$1" in
        vulkan)
            ldconfig -p 2>/dev/null | grep -q 'libvulkan\.so\.1' &&
                ls /usr/share/vulkan/icd.d/*.json /etc/vulkan/icd.d/*.json >/dev/null 2>&1
            ;;
        *) command -v "$1" >/dev/null 2>&1 ;;
    esac
}

missing=
for tool in "$@"; do
    present "$tool" || missing="$missing $(package_of "$tool")"
done
[ -n "$missing" ] || exit 0

if command -v apt-get >/dev/null 2>&1; then
    if [ "$(id -u)" = 0 ]; then
        run=
    elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
        run=sudo
    else
        run=none
    fi
    if [ "$run" != none ]; then
        echo "installing$missing" >&2
        export DEBIAN_FRONTEND=noninteractive
        $run apt-get update -qq
        # shellcheck disable=SC2086  # a list of packages
        $run apt-get install -y -qq --no-install-recommends $missing >/dev/null
        exit 0
    fi
fi

echo "Please install:$missing  (Debian, Ubuntu: apt-get install$missing)" >&2
# Outside CI the tests that need these tools are skipped with this reason; there they must run.
[ -z "${CI:-}" ]
