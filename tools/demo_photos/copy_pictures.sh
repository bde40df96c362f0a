#!/usr/bin/env bash
# Copies the pictures behind the demonstration photos, unchanged, from the npm package into the crate that draws them.
#
#   bash tools/demo_photos/copy_pictures.sh
#
# Which pictures: the code points in crates/pomona-demo/src/pictures.rs. Needs npm, tar and sha256sum.
set -euo pipefail

package=@lobehub/fluent-emoji-3d
version=1.1.0
sha256=c1bb7eee7de090205a232518a9ab4adb3df458bfbe8a1f78232991194c8b2e58

repository=$(cd "$(dirname "$0")/../.." && pwd)
crate=$repository/crates/pomona-demo
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

(cd "$work" && npm pack --silent "$package@$version" > /dev/null)
archive=$(echo "$work"/*.tgz)
echo "$sha256  $archive" | sha256sum --check --quiet
tar -xzf "$archive" -C "$work"

rm -f "$crate"/assets/*.webp
mkdir -p "$crate/assets"
count=0
for code_point in $(grep -o 'picture!("[0-9a-f-]*"' "$crate/src/pictures.rs" | cut -d'"' -f2); do
  cp "$work/package/assets/$code_point.webp" "$crate/assets/"
  count=$((count + 1))
done
echo "$count pictures copied to crates/pomona-demo/assets"
