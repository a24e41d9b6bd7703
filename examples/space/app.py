"""A Hugging Face Space: the page of `cmac demo --serve`, for everybody. Locally, use that command."""

from cmac_hub.page import serve

if __name__ == "__main__":
    serve(address="0.0.0.0")
