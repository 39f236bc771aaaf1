# Stands in for nixpkgs where flake.nix is evaluated without it. buildGo126Module refuses
# what the real one would, as far as arguments tell, and hands them back.
{
  outputs = _:
    let
      lib = {
        genAttrs = names: f: builtins.listToAttrs (map (name: { inherit name; value = f name; }) names);
        optional = condition: value: if condition then [ value ] else [ ];
        licenses.asl20.spdxId = "Apache-2.0";
      };
      package = system: name: derivation { inherit name system; builder = "/bin/sh"; };
      known = [ "pname" "version" "src" "vendorHash" "subPackages" "env" "ldflags" "doCheck" "meta" ];
      build = system: arguments:
        assert builtins.attrNames (builtins.removeAttrs arguments known) == [ ];
        assert builtins.match "sha256-[A-Za-z0-9+/]{43}=" arguments.vendorHash != null;
        assert builtins.all (package: builtins.pathExists "${arguments.src}/${package}/main.go") arguments.subPackages;
        package system "${arguments.pname}-${arguments.version}" // {
          inherit (arguments) meta;
          arguments = removeAttrs arguments [ "src" ];
        };
      tools = [ "go_1_26" "gnumake" "git" "nodejs" "chromium" "iproute2" "nftables" "openssl" "zstd" "curl" "openssh" "gnupg" "sqlite" ];
      pkgs = system: lib.genAttrs tools (package system) // {
        buildGo126Module = build system;
        pkgsStatic.busybox = package system "busybox";
        mkShell = { packages }: package system "shell" // { inherit packages; };
      };
    in
    {
      inherit lib;
      legacyPackages = lib.genAttrs [ "x86_64-linux" "aarch64-linux" ] pkgs;
    };
}
