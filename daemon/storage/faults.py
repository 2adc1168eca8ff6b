"""What the database raises when it cannot be used, for those who may not import its library."""

from sqlalchemy.exc import SQLAlchemyError as DatabaseFault

from watchkeeper.daemon.storage.database import StorageError

__all__ = ["DatabaseFault", "StorageError"]
