# services.wesher = {
#   enable = true;
#   openFirewall = true;
#   clusterKeyFile = "/run/keys/wesher";
#   settings = { join = [ "node1.example.org" ]; hosts-suffix = "mesh"; };
# };
{
  config,
  lib,
  pkgs,
  ...
}:

let
  cfg = config.services.wesher;
  # /etc/hosts is in the store and cannot be written: see the option `hostsFile`.
  settings = cfg.settings // { hosts-file = cfg.hostsFile; };
  file = (pkgs.formats.toml { }).generate "wesher.toml" settings;
  gossipPort = cfg.settings.cluster-port or 7946;
  wireguardPort = cfg.settings.wireguard-port or 51820;
in
{
  options.services.wesher = {
    enable = lib.mkEnableOption "wesher, an encrypted WireGuard mesh";
    package = lib.mkOption {
      type = lib.types.package;
      default = pkgs.callPackage ./package.nix { };
      defaultText = lib.literalExpression "pkgs.callPackage ./package.nix { }";
      description = "The package to use.";
    };
    clusterKeyFile = lib.mkOption {
      type = lib.types.nullOr lib.types.str;
      default = null;
      description = ''
        File with the cluster key, which is no path, so that it does not get into the store. Without
        it the host makes a new key at its first start.
      '';
    };
    hostsFile = lib.mkOption {
      type = lib.types.str;
      default = "/run/wesher/hosts";
      description = ''
        File for the names of the members. That of the system cannot be written: have dnsmasq read
        this one (services.dnsmasq.settings.addn-hosts).
      '';
    };
    openFirewall = lib.mkOption {
      type = lib.types.bool;
      default = false;
      description = "Let gossip and WireGuard through the firewall.";
    };
    settings = lib.mkOption {
      type = (pkgs.formats.toml { }).type;
      default = { };
      example = { join = [ "node1.example.org" ]; };
      description = "What wesher.toml takes, see wesher.toml(5).";
    };
  };

  config = lib.mkIf cfg.enable {
    environment.systemPackages = [ cfg.package ];
    networking.firewall = lib.mkIf cfg.openFirewall {
      allowedTCPPorts = [ gossipPort ];
      allowedUDPPorts = [ gossipPort wireguardPort ];
    };
    systemd.tmpfiles.rules = [
      "d /run/wesher 0755 root root -"
      "d /run/wireguard 0755 root root -"
    ];
    systemd.services.wesher = {
      description = "WireGuard mesh of all our hosts";
      wantedBy = [ "multi-user.target" ];
      wants = [ "network-online.target" ];
      after = [ "network-online.target" "nss-lookup.target" ];
      startLimitIntervalSec = 0;
      # A restart hands over and loses no packet.
      restartTriggers = [ file ];
      serviceConfig = {
        Type = "notify";
        ExecStart = lib.concatStringsSep " " (
          [ "${cfg.package}/bin/wesher --log-level info --config ${file}" ]
          ++ lib.optional (cfg.clusterKeyFile != null) "--cluster-key-file \${CREDENTIALS_DIRECTORY}/cluster.key"
        );
        LoadCredential = lib.mkIf (cfg.clusterKeyFile != null) "cluster.key:${cfg.clusterKeyFile}";
        Restart = "on-failure";
        RestartSec = 5;
        RestartPreventExitStatus = 2;
        RestartKillSignal = "SIGUSR1";
        KillMode = "process";
        TimeoutStopSec = 10;
        WatchdogSec = 30;
        StateDirectory = "wesher";
        StateDirectoryMode = "0700";
        ReadWritePaths = [ "/run/wesher" "/run/wireguard" ];
        LimitCORE = 0;
        MemoryMax = "1G";
        TasksMax = 512;
        CapabilityBoundingSet = "CAP_NET_ADMIN";
        DevicePolicy = "closed";
        DeviceAllow = "/dev/net/tun rw";
        LockPersonality = true;
        MemoryDenyWriteExecute = true;
        NoNewPrivileges = true;
        PrivateTmp = true;
        ProtectClock = true;
        ProtectControlGroups = true;
        ProtectHome = true;
        ProtectHostname = true;
        ProtectKernelLogs = true;
        ProtectKernelModules = true;
        ProtectKernelTunables = true;
        ProtectProc = "invisible";
        ProtectSystem = "strict";
        RemoveIPC = true;
        RestrictAddressFamilies = [ "AF_INET" "AF_INET6" "AF_NETLINK" "AF_UNIX" ];
        RestrictNamespaces = true;
        RestrictRealtime = true;
        RestrictSUIDSGID = true;
        SystemCallArchitectures = "native";
        SystemCallFilter = "@system-service";
        SystemCallErrorNumber = "EPERM";
        UMask = "0077";
      };
    };
  };
}
