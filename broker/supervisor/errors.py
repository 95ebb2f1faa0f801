"""What can keep Medina from starting; each is the operator's to repair, so each text says what to do.

StartError
├── DataFolderUnusable
├── AlreadyRunning
├── PortTaken
├── ProgramMissing
├── ServerUnreachable
├── ServerRefusedLogin
├── NotAReplicaSet
└── RoleFailed
"""


class StartError(Exception):
    """Medina cannot start as it is configured; the command line prints the text and exits with 2."""


class DataFolderUnusable(StartError):
    """The data folder cannot be written, or holds files that Medina did not make."""


class AlreadyRunning(StartError):
    """Another `medina up` works on the same data folder."""


class PortTaken(StartError):
    """Another program listens on a port that a role needs."""


class ProgramMissing(StartError):
    """No MongoDB server or MQTT broker program is installed for this platform."""


class ServerUnreachable(StartError):
    """A MongoDB or MQTT server that the settings name does not answer."""


class ServerRefusedLogin(StartError):
    """A MongoDB or MQTT server refuses the user name or password."""


class NotAReplicaSet(StartError):
    """The MongoDB server is no replica set, so it has no change streams and no transactions."""


class RoleFailed(StartError):
    """A role ended, or did not become ready, while Medina was starting."""
