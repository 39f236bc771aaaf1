# Packages and a shell for Nix:
#
#     nix build .#repronet-verify        # or repronet-reporter, repronet-aggregator
#     nix develop                        # what make check needs
#
# There is no flake.lock: Nix writes one when it first resolves nixpkgs, where it can be
# reached. e2e/flake_test.go evaluates this file with a stand-in for nixpkgs, and computes
# vendorHash as nixpkgs does; what it cannot show is a build inside nixpkgs' sandbox.
{
  description = "Reproducibility monitoring network";

  inputs.nixpkgs.url = "nixpkgs/nixos-unstable"; # has to have Go 1.26

  outputs = { self, nixpkgs }:
    let
      inherit (nixpkgs) lib;
      # The embedded ClickHouse engine of the aggregator is there for x86_64-linux alone;
      # elsewhere it is given a server with --clickhouse.
      systems = [ "x86_64-linux" "aarch64-linux" ];
      each = f: lib.genAttrs systems (system: f nixpkgs.legacyPackages.${system});
      version = "0.1.0";

      program = pkgs: name: description: pkgs.buildGo126Module {
        pname = name;
        inherit version;
        src = self;
        # Of `go mod vendor`; changes with go.mod, and the test says to what.
        vendorHash = "sha256-oOBEdguOJIrOlXcyNh9TAcUvdKtZD5s6B/99kqn5umU=";
        subPackages = [ "cmd/${name}" ];
        env.CGO_ENABLED = 0; # static, as `make build` makes them
        ldflags = [ "-s" "-w" "-X repronet.dev/internal/version.tag=v${version}" ]
          ++ lib.optional (self ? rev) "-X repronet.dev/internal/version.commit=${self.rev}";
        # Tests run real engines, Nix and browsers: `make test`.
        doCheck = false;
        meta = {
          inherit description;
          homepage = "https://repronet.dev";
          license = lib.licenses.asl20;
          mainProgram = name;
          platforms = systems;
        };
      };
    in
    {
      packages = each (pkgs: rec {
        repronet-reporter = program pkgs "repronet-reporter" "Reports what a machine's builds produced";
        # The engine is not in it: REPRONET_ENGINE names libchdb.so, or --clickhouse a server.
        repronet-aggregator = program pkgs "repronet-aggregator" "Collects attestations of builds and shows which are reproducible";
        repronet-verify = program pkgs "repronet-verify" "Checks what independent builders say about a build";
        default = repronet-verify;
      });

      # What make check needs, as .ci/prepare lists it. The engine is fetched by npm.
      devShells = each (pkgs: {
        default = pkgs.mkShell {
          packages = with pkgs; [
            go_1_26 gnumake git nodejs chromium iproute2 nftables openssl zstd curl openssh gnupg sqlite pkgsStatic.busybox
          ];
        };
      });
    };
}
