# The program, from a clone: `callPackage ./package.nix { src = /path/of/the/clone; }`.
{
  lib,
  python3Packages,
  makeWrapper,
  iproute2,
  wireguard-tools,
  wireguard-go,
  src ? ../..,
}:

python3Packages.buildPythonApplication {
  pname = "wesher";
  version = "1.0.0";
  pyproject = true;
  inherit src;

  build-system = [ python3Packages.setuptools ];
  dependencies = with python3Packages; [
    sh
    cryptography
    tomli
    loguru
    tenacity
    msgpack
  ];
  nativeBuildInputs = [ makeWrapper ];
  makeWrapperArgs = [
    "--prefix PATH : ${lib.makeBinPath [ iproute2 wireguard-tools wireguard-go ]}"
  ];
  # The tests need root and network namespaces.
  doCheck = false;

  meta = {
    description = "Encrypted WireGuard mesh of all your hosts, without a server";
    license = lib.licenses.mit;
    mainProgram = "wesher";
    platforms = lib.platforms.linux;
  };
}
